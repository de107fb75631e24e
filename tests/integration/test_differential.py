"""Whatever ingest accepts, the scorer reads as the same values, and PostgreSQL stores and returns it equal."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.accept_event import decode_event
from services.ingest.binary_mode import event_document
from services.ingest.check_event import check_event
from services.scorer.read_record import ReceivedEvent, read_record
from shared.access import AccessKey
from shared.bus.ports import Record
from shared.clock import SettableClock
from shared.codec import FROM_CLIENT, canonical_json
from shared.errors import RefusedRequest
from shared.events.envelope import EventMessage
from tests.conftest import Platform
from tests.corpus.case import named, of_type
from tests.corpus.generated import events
from tests.corpus.real import differences, real_services
from tests.fakes.ingest_edge import NOW, SCOPES

KEY = AccessKey(key_id="k", secret_sha256=b"", name="n", scopes=SCOPES["all"], created_at=NOW)
RECEIVED_AT = NOW.replace(microsecond=NOW.microsecond // 1_000 * 1_000)
MANY = settings(
    max_examples=400,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def accepted_by_edge(document: object) -> EventMessage | None:
    try:
        return check_event(document, KEY, NOW).received(RECEIVED_AT, KEY.key_id)
    except RefusedRequest:
        return None


def structured(body: bytes) -> object:
    """Decode as the edge does; None for what it refuses."""
    try:
        return decode_event(body)
    except RefusedRequest:
        return None


def binary(event: dict[str, Any]) -> object:
    """Put the attributes in headers and decode the payload by itself, as the edge does; None for what it refuses."""
    headers = [
        (f"ce-{name.lower()}".encode(), quote(str(value), safe=" :+@/").encode())
        for name, value in event.items()
        if name not in ("data", "datacontenttype") and value is not None and name.isascii()
    ]
    try:
        return event_document(headers, decode_event(json.dumps(event.get("data")).encode()))
    except RefusedRequest:
        return None


def disagreements(message: EventMessage) -> Iterator[tuple[str, object, object]]:
    """Yield what the scorer reads otherwise than the edge: (field, edge, scorer)."""
    read = read_record(Record(0, message.subject.encode(), message.to_bytes(), 0), NOW)
    if not isinstance(read, ReceivedEvent):
        yield "record", message, (read.reason, read.detail)
        return
    event = read.event
    pairs = {
        "id": (message.id, event.event_id),
        "source": (message.source, event.source),
        "type": (message.event_type, event.type),
        "household": (message.subject, read.household_id),
        "division": (message.division, read.division),
        "source class": (message.sourceclass, event.source_class),
        "episode": (message.episode, event.episode),
        "occurred on": (message.occurred_on, event.occurred_on),
        "recorded at": (message.recordedat, read.recorded_at),
        "key": (message.keyid, read.key_id),
        "payload": (message.data, event.payload),
        "payload's bytes": (canonical_json(message.data), read.payload),
    }
    yield from ((field, edge, scorer) for field, (edge, scorer) in pairs.items() if edge != scorer)


@MANY
@given(events, st.booleans())
def test_the_scorer_reads_what_the_edge_took(event: dict[str, Any], ascii_only: bool) -> None:
    body = json.dumps(event, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    for document in (structured(body), binary(event)):
        message = accepted_by_edge(document)
        if message is not None:
            assert list(disagreements(message)) == []
            time = message.time.replace(microsecond=message.time.microsecond // 1_000 * 1_000)
            again = EventMessage.model_validate_json(message.to_bytes())
            assert again == message.model_copy(update={"time": time})


@pytest.mark.parametrize("keys", range(FROM_CLIENT.keys - 6, FROM_CLIENT.keys + 1))
def test_the_scorer_reads_an_event_as_wide_as_the_edge_takes(keys: int) -> None:
    """An event of 200 keys was accepted, and then quarantined with those that ingest had added to it."""
    payload = {"ref": "e-0", "payload": {f"k{number}": number for number in range(keys - 11)}}
    message = accepted_by_edge(structured(of_type("event.corrected", payload)))
    assert message is not None
    assert list(disagreements(message)) == []


@pytest.mark.parametrize("levels", range(1, FROM_CLIENT.depth))
def test_the_scorer_reads_an_event_as_deep_as_the_edge_takes(levels: int) -> None:
    """A payload of 16 levels was accepted in binary mode, and then quarantined because the envelope adds one."""
    nested = json.loads('{"a":' * levels + "1" + "}" * levels)
    event = json.loads(of_type("event.corrected", {"ref": "e-0", "payload": nested}))
    for document in (structured(json.dumps(event).encode()), binary(event)):
        message = accepted_by_edge(document)
        assert (message is not None) == (levels <= 3)
        if message is not None:
            assert list(disagreements(message)) == []


@pytest.mark.integration
async def test_the_ledger_returns_what_the_edge_took(platform: Platform, engine: AsyncEngine) -> None:
    taken: list[bytes] = []

    @MANY
    @given(events)
    def collect(event: dict[str, Any]) -> None:
        body = json.dumps({**event, "id": "e-1"}).encode()
        if isinstance(event.get("id"), str) and accepted_by_edge(structured(body)):
            taken.append(named(body, f"e-{len(taken)}"))

    collect()
    assert len(taken) >= 200
    async with real_services(platform, engine, SettableClock(NOW + timedelta(seconds=1))) as real:
        for start in range(0, len(taken), 100):
            await real.send_array(taken[start : start + 100])
        stored = await real.ledger(len(taken))
    assert [found for body in taken for found in differences(body, stored)] == []
