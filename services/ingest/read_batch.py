"""Cuts the body of a batch into the bytes of its events; each is then judged by itself."""

from services.ingest.read_request import Mode
from shared.codec import MalformedJson, split_array, split_lines
from shared.errors import Fault, RefusedRequest

MAX_EVENTS = 500


def split_batch(mode: Mode, body: bytes) -> list[bytes]:
    """Return the bytes of each event. Raises RefusedRequest (400 not an array, 413 too many, 422 none)."""
    try:
        events = split_array(body) if mode is Mode.JSON_BATCH else list(split_lines(body))
    except MalformedJson as error:
        raise RefusedRequest("malformed-json", error.fault.detail, faults=[error.fault]) from None
    if len(events) > MAX_EVENTS:
        raise RefusedRequest("too-large", f"send at most {MAX_EVENTS} events in one batch")
    if not events:
        fault = Fault("", "empty_batch", "send at least one event")
        raise RefusedRequest("invalid-event", fault.detail, faults=[fault])
    return events
