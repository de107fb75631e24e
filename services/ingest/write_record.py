"""Writes an event as it stands on the log: as its sender gave it, and when and by which key it was received."""

from json.encoder import encode_basestring as quoted

from shared.clock import to_rfc3339
from shared.codec import encode_json
from shared.events.envelope import EventMessage


def record_of(event: EventMessage, *, recorded_at: str, key_id: str, traceparent: str | None) -> bytes:
    """Return the bytes that `EventMessage.to_bytes` gives once these attributes are set.

    recorded_at: RFC 3339 in UTC with milliseconds. traceparent: of the request, for an event that has none.
    Put together around the payload, because the model's own way costs more than all checks of the event. What can hold
    a quotation mark is quoted as JSON wants; the other attributes cannot, by their patterns.
    """
    trace = event.traceparent or traceparent
    head = (
        f'{{"specversion":"{event.specversion}","id":{quoted(event.id)},"source":{quoted(event.source)},'
        f'"type":"{event.type}","subject":"{event.subject}","time":"{to_rfc3339(event.time)}",'
        f'"datacontenttype":"{event.datacontenttype}"'
        f"{_optional('dataschema', event.dataschema)}{_optional('traceparent', trace)}"
        f',"division":"{event.division}","sourceclass":"{event.sourceclass}"{_optional("episode", event.episode)}'
        ',"data":'
    )
    return b'%s%s,"recordedat":"%s","keyid":"%s"}' % (
        head.encode(),
        encode_json(event.data),
        recorded_at.encode(),
        key_id.encode(),
    )


def _optional(name: str, value: str | None) -> str:
    return "" if value is None else f',"{name}":{quoted(value)}'
