"""A record on the log becomes an event, or is refused with its reason; how it was read makes no difference."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.check_event import check_event
from services.scorer.read_record import ReceivedEvent, RefusedRecord, read_at_a_glance, read_record, read_through
from shared.access import AccessKey
from shared.bus.ports import Record
from shared.errors import RefusedRequest
from shared.events.catalogue import EVENT_TYPES
from shared.events.envelope import EventMessage
from shared.events.household_event import SourceClass
from tests.corpus import record_cases
from tests.corpus.generated import events, texts
from tests.corpus.record_cases import KEY, changed, sound
from tests.corpus.table import ACCEPTED
from tests.fakes.ingest_edge import NOW, SCOPES
from tests.messages import make_message

SENDER = AccessKey(key_id="k", secret_sha256=b"", name="n", scopes=SCOPES["all"], created_at=NOW)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MANY = settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
JSON_SIGNS = st.sampled_from([*'{}[]:,"\\ 019.-TZ', "\\u0041", ',"id":"x"', '"a":', "1.5", "null", "é", "e\u0301"])
# Each value that the pattern of a written event looks at, with the quotes around it.
VALUES = re.compile(rb'(?<=":)("[^"]*"|[0-9]+|\{\})')


def on_the_log(value: bytes | None, key: bytes | None) -> Record:
    return Record(7, key, value, 0)


def written(document: object) -> bytes | None:
    """What ingest puts on the log for a document; None if it refuses it."""
    try:
        return check_event(document, SENDER, NOW).received(NOW, SENDER.key_id).to_bytes()
    except RefusedRequest:
        return None


def check(value: bytes | None, key: bytes | None, now: datetime = NOW) -> None:
    """What is read at a glance is what the whole way reads; what is not is left to it."""
    record = on_the_log(value, key)
    whole_way = read_through(record, now)
    assert read_at_a_glance(record, now) in (None, whole_way)
    assert read_record(record, now) == whole_way


def key_of(value: bytes) -> bytes:
    found = re.search(rb'"subject": ?"([^"]*)"', value)
    return found[1] if found else KEY


def test_a_fraction_in_a_field_that_no_model_knows_is_refused_with_its_place() -> None:
    value = changed("b97-rate", data={"rate": [1, 0.5]})
    for body in (value, sound("b97-rate").replace(b'"self_pay_yuan":5', b'"rate":[1,0.5]')):
        read = read_record(on_the_log(body, KEY), NOW)
        assert isinstance(read, RefusedRecord)
        assert (read.reason, read.detail, read.event_id) == ("INVALID_PAYLOAD", "/rate/1: fraction", "b97-rate")


@pytest.mark.parametrize("name", EVENT_TYPES)
@pytest.mark.parametrize(
    "more", [{}, {"episode": "flood 7"}, {"traceparent": TRACE}], ids=["plain", "episode", "trace"]
)
def test_what_ingest_writes_is_read_at_a_glance(name: str, more: dict[str, str]) -> None:
    message = make_message(name, data=EVENT_TYPES[name].example, at=NOW, **more)
    record = on_the_log(message.to_bytes(), message.subject.encode())
    read = read_at_a_glance(record, NOW)
    assert isinstance(read, ReceivedEvent)
    assert read == read_through(record, NOW)


@pytest.mark.parametrize("source_class", SourceClass)
def test_every_source_class_is_read_at_a_glance(source_class: SourceClass) -> None:
    message = make_message("health.accident", at=NOW, sourceclass=source_class)
    read = read_at_a_glance(on_the_log(message.to_bytes(), message.subject.encode()), NOW)
    assert read is not None and read.event.source_class is source_class


@pytest.mark.parametrize("case", record_cases.CASES, ids=lambda case: f"{case.code} {case.name}")
def test_records_of_the_corpus_are_read_alike(case: record_cases.RecordCase) -> None:
    check(case.value, case.key)


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_accepted_bodies_of_the_corpus_are_read_alike(case: Any) -> None:
    value = written(json.loads(case.body))
    if value is not None:
        check(value, key_of(value))


@MANY
@given(events)
def test_whatever_ingest_writes_is_read_alike(event: dict[str, Any]) -> None:
    value = written(event)
    if value is not None:
        check(value, key_of(value))


@MANY
@given(events, st.data())
def test_a_written_event_that_somebody_spoilt_is_read_alike(event: dict[str, Any], data: st.DataObject) -> None:
    value = written(event) or sound("e-1")
    place = data.draw(st.integers(0, len(value)))
    put = data.draw(st.one_of(st.binary(max_size=2), JSON_SIGNS.map(str.encode)))
    spoilt = value[:place] + put + value[place + data.draw(st.integers(0, 12)) :]
    check(spoilt, data.draw(st.sampled_from([key_of(value), key_of(spoilt), None])))


INSTANTS = (
    *("2026-02-30T00:00:00.000Z", "2026-03-02T24:00:00.000Z", "2026-03-02T23:59:60.000Z", "1899-12-31T00:00:00.000Z"),
    *("2019-12-31T23:59:59.999Z", "1940-06-01T16:00:00.000Z", "1988-07-01T15:30:00.000Z", "2026-03-02T16:00:00.000Z"),
    *("2099-12-31T23:59:59.999Z", "2026-03-02T01:00:00Z", "2026-03-02T09:00:00.000+08:00", "2026-03-02T00:00:00.000z"),
    *("0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
)
ODD = (
    *("//[", "urn:[x]", "//\u2100", "http://a:b", "\\", 'a"b', "", " ", "x" * 65, "x" * 201, "\u2028", "e\u0301"),
    *("\ud800", "\n", "urn:app:tests\n", "cn.shouwang..v1", "cn.shouwang.edu.cost.v1.v1", "cn.shouwang.edu.cost.v2"),
    *("SELF", "self"),
)


@pytest.mark.parametrize("place", range(14))
def test_an_attribute_with_an_odd_value_is_read_alike(place: int) -> None:
    for odd in (*INSTANTS, *ODD, None, 1, 1.5, True, {}, []):
        check_with(odd, place, ascii_only=False)
        check_with(odd, place, ascii_only=True)


@MANY
@given(texts, st.integers(0, 13), st.booleans())
def test_an_attribute_with_any_text_is_read_alike(text: str, place: int, ascii_only: bool) -> None:
    check_with(text, place, ascii_only=ascii_only)


def check_with(odd: object, place: int, *, ascii_only: bool) -> None:
    """Check an event with something else in the place of one of its values."""
    value = make_message("edu.cost", "H-records", at=NOW, id="e-1", episode="x", traceparent=TRACE).to_bytes()
    found = list(VALUES.finditer(value))[place]
    put = json.dumps(odd, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    spoilt = value[: found.start()] + put + value[found.end() :]
    for key in (key_of(value), key_of(spoilt)):
        check(spoilt, key)


@pytest.mark.parametrize("ahead", [timedelta(days=1), timedelta(days=1, milliseconds=1)])
def test_a_receipt_that_has_not_been_yet_is_refused_either_way(ahead: timedelta) -> None:
    check(make_message("edu.cost", "H-records", at=NOW, recorded_at=NOW + ahead).to_bytes(), KEY)


def test_an_event_as_deep_and_as_wide_as_the_log_takes_is_read_alike() -> None:
    for levels in range(20, 25):
        nested = json.loads('{"a":' * levels + "1" + "}" * levels)
        check(changed_payload({"ref": "e", "payload": nested}), KEY)
    for keys in range(1_970, 1_995):
        check(changed_payload({"ref": "e", "payload": {f"k{number}": number for number in range(keys)}}), KEY)


def changed_payload(payload: dict[str, Any]) -> bytes:
    message = make_message("event.corrected", "H-records", at=NOW)
    return EventMessage.to_bytes(message.model_copy(update={"data": payload}))
