"""Binary content mode, held against the CloudEvents SDK as an independent oracle."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_structured,
    to_binary,
    to_binary_event,
    to_structured,
)
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from shared.codec import decode_json
from shared.events.catalogue import EVENT_TYPES
from shared.events.schemas import example_event
from tests.fakes.ingest_edge import JSON_BATCH, STRUCTURED, IngestUnderTest, make_event, started_ingest

CANARY = "CANARY7731"


@pytest.fixture(scope="module")
async def ingest() -> IngestUnderTest:
    return await started_ingest()


def sdk_event(event: dict[str, Any]) -> CloudEvent:
    attributes = {name: value for name, value in event.items() if name != "data"}
    attributes["time"] = datetime.fromisoformat(attributes["time"])
    return CloudEvent(attributes={**attributes, "datacontenttype": "application/json"}, data=event["data"])


def headers_of(event: dict[str, Any], **changes: str | None) -> dict[str, str]:
    headers = {f"ce-{name}": str(value) for name, value in event.items() if name != "data"}
    changed = {f"ce-{name}": value for name, value in changes.items()}
    return {name: value for name, value in {**headers, **changed}.items() if value is not None}


async def post_binary(ingest: IngestUnderTest, headers: Any, body: object) -> Any:
    return await ingest.post(body, content_type="application/json", headers=headers)


@pytest.mark.parametrize("name", EVENT_TYPES)
async def test_the_sdks_structured_and_binary_messages_are_accepted(ingest: IngestUnderTest, name: str) -> None:
    event = sdk_event(example_event(EVENT_TYPES[name]))
    before = len(ingest.log.records)
    for message in (to_structured(event, JSONFormat()), to_binary(event, JSONFormat())):
        headers = {header.lower(): value for header, value in message.headers.items()}
        content_type = headers.pop("content-type")
        answer = await ingest.post(message.body, content_type=content_type, headers=headers)
        assert answer.status_code == 202, answer.text
    structured, binary = (one.value for one in ingest.log.records[before:])
    assert structured == binary


async def test_what_stands_on_the_log_is_a_cloud_event_to_the_sdk(ingest: IngestUnderTest) -> None:
    await ingest.post(make_event(episode="住院"))
    value = ingest.log.records[-1].value
    read = from_structured(HTTPMessage({"content-type": STRUCTURED}, value), JSONFormat())
    assert read.get_id() == "e-1"
    assert read.get_subject() == "H-1"
    assert read.get_time() == datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    assert read.get_extension("division") == "990100101201"
    assert read.get_extension("episode") == "住院"
    assert read.get_data() == make_event()["data"]


async def test_the_sdks_percent_encoding_of_an_extension_is_undone(ingest: IngestUnderTest) -> None:
    message = to_binary_event(sdk_event(make_event(episode='住院 "2026" 50% 😀')))
    headers = {header.lower(): value for header, value in message.headers.items()}
    assert "%" in headers["ce-episode"]
    answer = await ingest.post(message.body, content_type=headers.pop("content-type"), headers=headers)
    assert answer.status_code == 202
    assert decode_json(ingest.log.records[-1].value)["episode"] == '住院 "2026" 50% 😀'


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("plain", "plain"),
        ("%70lain", "plain"),
        ('"a quoted text"', "a quoted text"),
        (r'"with \"quotes\" and \\"', 'with "quotes" and \\'),
        ('"%41"', "A"),
        ("%E5%AE%88%E6%9c%9b", "守望"),
        ("%e4%bd%8f+x", "住+x"),
        ("  padded ", "padded"),
        ("%2541", "%41"),
    ],
)
async def test_header_values_are_read_as_the_binding_says(ingest: IngestUnderTest, sent: str, read: str) -> None:
    event = make_event()
    answer = await post_binary(ingest, headers_of(event, episode=sent), event["data"])
    assert answer.status_code == 202, answer.text
    assert decode_json(ingest.log.records[-1].value)["episode"] == read


@pytest.mark.parametrize(
    "changes",
    [
        {"episode": "%C0%A0"},
        {"episode": "%ff"},
        {"episode": "%ED%A0%80"},
        {"episode": "100%"},
        {"episode": f"%zz{CANARY}"},
        {"episode": "caf\u00e9"},
        {"episode": '"never closed'},
        {"episode": "a%00b"},
        {"episode": "a%E2%80%AEb"},
        {"episode": "x" * 65},
        {"division": "9901"},
        {"division": None},
        {"sourceclass": CANARY},
        {"time": "yesterday"},
        {"id": None},
        {"datacontenttype": "application/json"},
        {"data": CANARY},
        {"recordedat": "2020-01-01T00:00:00Z"},
        {"keyid": CANARY},
        {"grade": CANARY},
        {"specversion": "0.3"},
    ],
)
async def test_a_bad_header_is_named_and_not_repeated(ingest: IngestUnderTest, changes: dict[str, str | None]) -> None:
    event = make_event()
    answer = await post_binary(ingest, headers_of(event, **changes), event["data"])
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"].endswith("/invalid-event")
    [fault] = answer.json()["errors"]
    assert fault["pointer"] == ""
    assert f"ce-{next(iter(changes))}" in fault["detail"]
    assert CANARY not in answer.text


async def test_a_header_given_twice_is_refused(ingest: IngestUnderTest) -> None:
    headers = [*headers_of(make_event()).items(), ("ce-id", "other")]
    answer = await post_binary(ingest, headers, make_event()["data"])
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "duplicate_header")


async def test_an_odd_header_name_is_not_repeated(ingest: IngestUnderTest) -> None:
    answer = await post_binary(ingest, {**headers_of(make_event()), f"ce-!{CANARY}": "x"}, make_event()["data"])
    assert answer.status_code == 422
    assert CANARY not in answer.text
    assert CANARY.lower() not in answer.text


async def test_faults_of_the_payload_point_into_the_body(ingest: IngestUnderTest) -> None:
    answer = await post_binary(ingest, headers_of(make_event()), {"self_pay_yuan": "1.234"})
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/self_pay_yuan"]
    answer = await post_binary(ingest, headers_of(make_event()), [1])
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [""]
    answer = await post_binary(ingest, headers_of(make_event()), b"{")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"type": "cn.shouwang.health.plague.v1"}, 422, "ce-type"),
        ({"time": "2036-01-01T00:00:00Z"}, 422, "ce-time"),
        ({"division": "110101001001"}, 403, "99"),
    ],
)
async def test_other_refusals_are_the_same_as_in_structured_mode(
    ingest: IngestUnderTest, changes: dict[str, str], status: int, says: str
) -> None:
    event = make_event()
    answer = await post_binary(ingest, headers_of(event, **changes), event["data"])
    assert answer.status_code == status
    assert says in answer.text


async def test_a_whole_event_under_the_wrong_type_is_told_the_right_one(ingest: IngestUnderTest) -> None:
    answer = await ingest.post(make_event(), content_type="application/json")
    assert answer.status_code == 415
    assert STRUCTURED in answer.json()["detail"]


async def test_the_sdks_batch_is_accepted(ingest: IngestUnderTest) -> None:
    events = [json.loads(JSONFormat().write(sdk_event(make_event(id=f"sdk-{number}")))) for number in range(3)]
    answer = await ingest.post(events, path="/v1/events/batch", content_type=JSON_BATCH)
    assert answer.status_code == 202
