"""A record that ingest writes is the event's own bytes, for every event type and whatever attributes it has."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.write_record import record_of
from shared.clock import to_rfc3339
from shared.codec import decode_json, encode_json
from shared.events.catalogue import EVENT_TYPES
from shared.events.envelope import EventMessage
from shared.events.schemas import example_event
from tests.fakes.ingest_edge import make_event

RECORDED_AT = datetime(2026, 3, 2, 2, 0, 0, 123_000, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17) + 1, 10**17) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


def same_record(event: EventMessage, trace: str | None = None) -> bytes:
    """Write a record both ways."""
    received = event.received(RECORDED_AT, "sw1")
    if trace is not None and event.traceparent is None:
        received = received.model_copy(update={"traceparent": trace})
    written = record_of(event, recorded_at=to_rfc3339(RECORDED_AT), key_id="sw1", traceparent=trace)
    assert written == received.to_bytes()
    return written


@pytest.mark.parametrize("name", list(EVENT_TYPES))
def test_an_event_of_any_type_is_written_as_it_writes_itself(name: str) -> None:
    event = EventMessage.model_validate(example_event(EVENT_TYPES[name]))
    written = same_record(event)
    assert EventMessage.model_validate(decode_json(written)) == event.received(RECORDED_AT, "sw1")


@given(
    st.fixed_dictionaries(
        {
            "id": st.from_regex(r"[!-~]{1,64}", fullmatch=True),
            "source": st.from_regex(r"urn:[!-~]{0,60}", fullmatch=True),
            "data": st.dictionaries(_TEXT, _VALUES, max_size=4),
            "time": st.datetimes(
                datetime(1990, 1, 2), datetime(2090, 1, 1), timezones=st.just(timezone(timedelta(hours=8)))
            ).map(datetime.isoformat),
        },
        optional={
            "episode": _TEXT.filter(lambda text: 0 < len(text) <= 64),
            "dataschema": st.from_regex(r"[!-~]{1,80}", fullmatch=True),
            "traceparent": st.just(TRACE.replace("4bf", "5cf")),
            "datacontenttype": st.just("application/json"),
        },
    ),
    st.none() | st.just(TRACE),
)
def test_whatever_attributes_and_payload_it_has(changes: dict[str, object], trace: str | None) -> None:
    event = EventMessage.model_validate(decode_json(encode_json(make_event(**changes))))
    same_record(event, trace)
