"""Writes an event as it stands on the log: as its sender gave it, and when and by which key it was received."""

from typing import Any

from shared.clock import to_rfc3339
from shared.codec import encode_json
from shared.events.envelope import EventMessage


def record_of(event: EventMessage, *, recorded_at: str, key_id: str, traceparent: str | None) -> bytes:
    """Return the bytes that `EventMessage.to_bytes` gives once these attributes are set, without copying the model.

    recorded_at: RFC 3339 in UTC with milliseconds. traceparent: of the request, for an event that has none.
    Attributes stand in the order of the model; absent ones are left out.
    """
    record: dict[str, Any] = {
        "specversion": event.specversion,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": to_rfc3339(event.time),
        "datacontenttype": event.datacontenttype,
    }
    if event.dataschema is not None:
        record["dataschema"] = event.dataschema
    if (trace := event.traceparent or traceparent) is not None:
        record["traceparent"] = trace
    record["division"] = event.division
    record["sourceclass"] = event.sourceclass
    if event.episode is not None:
        record["episode"] = event.episode
    record["data"] = event.data
    record["recordedat"] = recorded_at
    record["keyid"] = key_id
    return encode_json(record)
