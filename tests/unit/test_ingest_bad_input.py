"""Bad input: refused with a problem document that says where and what to mend, never echoed, never a 5xx, never a 202.

Each case that is a document is tried alone, in a JSON batch and as a line between two good events.
"""

import gzip
import json
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.factories import make_household
from tests.fakes.ingest_edge import (
    JSON_BATCH,
    LINES,
    STRUCTURED,
    IngestUnderTest,
    make_event,
    started_ingest,
)

# Stands in the refused places; must never come back.
CANARY = "CANARY7731"
POSTS: dict[str, Any] = {"path": "/v1/events/batch"}


@pytest.fixture(scope="module")
async def ingest() -> IngestUnderTest:
    return await started_ingest(max_in_flight_bytes=1 << 26)


class Bad(NamedTuple):
    """One bad document, and the answer that it must get."""

    name: str
    body: bytes
    status: int = 422
    slug: str = "invalid-event"
    pointer: str | None = None


def encoded(**changes: Any) -> bytes:
    return json.dumps(make_event(**changes), ensure_ascii=False).encode()


def attribute(name: str, value: object, *, at: str | None = None, slug: str = "invalid-event") -> Bad:
    """An event with one attribute spoilt."""
    return Bad(f"{name}={str(value)[:30]!r}", encoded(**{name: value}), 422, slug, at or f"/{name}")


def payload(value: Any, at: str, event_type: str = "health.major_illness", **changes: Any) -> Bad:
    """An event with its payload spoilt."""
    body = encoded(type=f"cn.shouwang.{event_type}.v1", data=value, **changes)
    return Bad(f"{event_type} {str(value)[:40]}", body, pointer=at)


def raw_amount(text: str, status: int = 422, slug: str = "invalid-event") -> Bad:
    """An amount written in bytes that Python's encoder would not write."""
    body = encoded(data={"self_pay_yuan": "@"}).replace(b'"@"', text.encode())
    return Bad(f"amount {text[:20]}", body, status, slug, "/data/self_pay_yuan" if status == 422 else None)


def malformed(name: str, body: bytes) -> Bad:
    return Bad(name, body, 400, "malformed-json")


GOOD = encoded(note=...)
WITHOUT_BRACE = GOOD[:-1]
BYTES = [
    malformed("UTF-8 byte order mark", b"\xef\xbb\xbf" + GOOD),
    malformed("UTF-16 little end first", GOOD.decode().encode("utf-16-le")),
    malformed("UTF-16 with mark", GOOD.decode().encode("utf-16")),
    malformed("UTF-32", GOOD.decode().encode("utf-32-be")),
    malformed("Latin-1", encoded(episode="\u00e9").decode().encode("latin-1")),
    malformed("GB18030", encoded(episode="守望").decode().encode("gb18030")),
    malformed("overlong slash", GOOD.replace(b"H-1", b"H\xc0\xaf1")),
    malformed("cut in a character", WITHOUT_BRACE + b',"episode":"\xe5\xae'),
    malformed("stray continuation byte", GOOD.replace(b"H-1", b"H\x80")),
    malformed("NUL between tokens", GOOD.replace(b", ", b",\x00")),
]
STRUCTURE = [
    malformed("cut before its end", WITHOUT_BRACE),
    malformed("cut in a text", GOOD[:40]),
    malformed("trailing comma", WITHOUT_BRACE + b",}"),
    malformed("trailing text", GOOD + b"x"),
    malformed("two documents", GOOD + b" " + GOOD),
    malformed("comment", b"/* " + CANARY.encode() + b" */" + GOOD),
    malformed("single quotes", GOOD.replace(b'"', b"'")),
    malformed("100,000 open arrays", b"[" * 60_000),
    malformed(
        "900 levels in a free field",
        encoded(type="cn.shouwang.event.corrected.v1").replace(
            b'"self_pay_yuan": 60000', b'"ref": "e", "payload": ' + b'{"a":' * 900 + b"1" + b"}" * 900
        ),
    ),
    malformed("key given twice", WITHOUT_BRACE + b',"id":"' + CANARY.encode() + b'"}'),
    malformed("key given twice, once escaped", WITHOUT_BRACE + b',"\\u0069d":"x"}'),
    malformed("201 keys", encoded(data={f"k{number}": 1 for number in range(201)})),
    malformed("escaped quotes that nobody closes", b'["' + b'\\"' * 32_000),
    Bad("a number", b"1"),
    Bad("null", b"null"),
    Bad("a text", b'"' + CANARY.encode() + b'"'),
    Bad("an empty object", b"{}", pointer="/id"),
    Bad("an event in an array", b"[" + GOOD + b"]"),
]
NUMBERS = [
    raw_amount("NaN", 400, "malformed-json"),
    raw_amount("Infinity", 400, "malformed-json"),
    raw_amount("-Infinity", 400, "malformed-json"),
    raw_amount("1" * 5_000, 400, "malformed-json"),
    raw_amount("12345678901234567890", 400, "malformed-json"),
    raw_amount("01", 400, "malformed-json"),
    raw_amount("+1", 400, "malformed-json"),
    raw_amount("0x10", 400, "malformed-json"),
    raw_amount("1e400"),
    raw_amount("1e3"),
    raw_amount("1e-400"),
    raw_amount("12.50"),
    raw_amount("60000.0"),
    raw_amount("0.30000000000000004"),
    raw_amount("-1"),
    raw_amount("10000001"),
    raw_amount("9007199254740993"),
    raw_amount("922337203685477580"),
    raw_amount("true"),
    raw_amount("null"),
    raw_amount("[1]"),
    raw_amount('"12,50"'),
    raw_amount('"1e3"'),
    raw_amount('"-1"'),
    raw_amount('"12.505"'),
    raw_amount('"１２"'),
    raw_amount('"6 万"'),
    raw_amount('""'),
    payload({"monthly_self_pay_yuan": 600, "months": 3.0}, "/data/months", "health.chronic_outpatient"),
    payload({"monthly_self_pay_yuan": 600, "months": "3"}, "/data/months", "health.chronic_outpatient"),
    payload({"monthly_self_pay_yuan": 600, "months": True}, "/data/months", "health.chronic_outpatient"),
    payload({"monthly_self_pay_yuan": 600, "months": 601}, "/data/months", "health.chronic_outpatient"),
    payload({"hazard": "flood", "people_affected": 10**6}, "/data/people_affected", "disaster.natural"),
    payload({"ref": "e-0", "payload": {"self_pay_yuan": 1.5}}, "/data/payload/self_pay_yuan", "event.corrected"),
]
STRINGS = [
    Bad("NUL in an id", GOOD.replace(b'"e-1"', b'"e\\u0000' + CANARY.encode() + b'"'), 400, "malformed-json", "/id"),
    Bad("lone surrogate", GOOD.replace(b'"p1"', b'"\\ud800"'), 400, "malformed-json", "/data/person"),
    Bad("swapped surrogates", GOOD.replace(b'"p1"', b'"\\udc00\\ud800"'), 400, "malformed-json", "/data/person"),
    Bad("direction override", encoded(data={"person": f"{CANARY}\u202e"}), 400, "malformed-json", "/data/person"),
    Bad("zero-width joiner in an id", encoded(id="e\u200d1"), 400, "malformed-json", "/id"),
    Bad("carriage return", encoded(data={"person": "a\r\nBcc: x"}), 400, "malformed-json", "/data/person"),
    Bad("5,000 characters", encoded(episode=CANARY * 500), 400, "malformed-json", "/episode"),
    payload({"person": "a\nb"}, "/data/person"),
    payload({"person": CANARY * 9}, "/data/person"),
    payload({"person": ""}, "/data/person"),
    payload({"person": "11010119900307123X"}, "/data/person"),
    payload({"person": "call 13800001111"}, "/data/person"),
    attribute("id", "е-1"),
    attribute("id", "e 1"),
    attribute("id", ""),
    attribute("id", CANARY * 7),
    attribute("id", 7),
    attribute("subject", "H 1"),
    attribute("subject", "H-1;DROP TABLE x"),
    attribute("subject", "../../etc/passwd"),
    attribute("subject", "x" * 41),
    attribute("source", ""),
    attribute("source", f"urn:{CANARY} x"),
    attribute("source", "http://[" + CANARY),
    attribute("division", "99010010120"),
    attribute("division", "99010010120\uff11"),
    attribute("division", 990100101201),
    attribute("division", "990100101201\n"),
    attribute("episode", "x" * 65),
    attribute("sourceclass", CANARY),
    attribute("sourceclass", "Department"),
    attribute("sourceclass", None),
    attribute("specversion", "0.3"),
    attribute("specversion", 1.0),
    attribute("datacontenttype", "text/xml"),
    attribute("dataschema", "a b"),
    attribute("traceparent", CANARY),
]
TIMES = [
    attribute("time", "2026-03-02T09:30:00"),
    attribute("time", "2026-03-02"),
    attribute("time", "2026-03-02 09:30:00+08:00"),
    attribute("time", "0000-01-01T00:00:00Z"),
    attribute("time", "0001-01-01T00:00:00+14:00"),
    attribute("time", "9999-12-31T23:59:59-14:00"),
    attribute("time", "275760-09-13T00:00:00Z"),
    attribute("time", "2025-02-29T00:00:00+08:00"),
    attribute("time", "2026-06-30T23:59:60Z"),
    attribute("time", "2026-03-02T24:00:00Z"),
    attribute("time", "2026-03-02T09:30:00+99:99"),
    attribute("time", 1772415000),
    attribute("time", 1772415000000),
    attribute("time", -1),
    attribute("time", "1772415000"),
    attribute("time", "\uff12026-03-02T09:30:00+08:00"),
    attribute("time", "1989-12-31T23:59:59+08:00"),
    attribute("time", "2036-03-02T09:30:00+08:00", slug="time-ahead"),
    attribute("time", "2026-03-03T02:00:01Z", slug="time-ahead"),
]
TYPES = [
    attribute("type", "cn.shouwang.health.plague.v1", slug="unknown-event-type"),
    attribute("type", "health.major_illness", slug="unknown-event-type"),
    attribute("type", "cn.shouwang.health.major_illness", slug="unknown-event-type"),
    attribute("type", "cn.shouwang.health.major_illness.v2", slug="unknown-event-type"),
    attribute("type", "cn.shouwang.cn.shouwang.health.major_illness.v1.v1", slug="unknown-event-type"),
    attribute("type", "CN.SHOUWANG.HEALTH.MAJOR_ILLNESS.V1"),
    attribute("type", ["cn.shouwang.health.major_illness.v1"]),
    attribute("recordedat", "2020-01-01T00:00:00Z"),
    attribute("keyid", CANARY),
    attribute("grade", CANARY),
    attribute("data_base64", "e30="),
    attribute("data", None),
    attribute("data", [CANARY]),
    attribute("data", CANARY),
    attribute("data", ...),
    attribute("division", ...),
    attribute("subject", ...),
    attribute("sourceclass", ...),
    payload({"self_pay_yuan": 1, "grade": CANARY}, "/data/grade"),
    payload({"张三" + CANARY: 1}, "/data/?"),
    payload({}, "/data/hazard", "disaster.natural"),
    payload({"hazard": CANARY}, "/data/hazard", "disaster.natural"),
    payload({"hazard": "flood", "water_failure": "true"}, "/data/water_failure", "disaster.natural"),
    payload({"result": CANARY}, "/data/result", "survey.visit"),
    payload({"result": "concern", "photo_refs": ["a"] * 21}, "/data/photo_refs", "survey.visit"),
    payload({"ref": "e-0"}, "/sourceclass", "event.verified", sourceclass="self"),
    payload({"result": "concern"}, "/sourceclass", "survey.visit", sourceclass="self"),
    payload({}, "/sourceclass", "status.risk_eliminated", sourceclass="self"),
    payload({}, "/sourceclass", "measure.delivered", sourceclass="self"),
    payload(
        {"stage": "action", "hazard": "flood", "divisions": ["990100101201"], "valid_to": "2026-07-12"},
        "/subject",
        "hazard.forecast",
    ),
    payload(
        {"stage": "action", "hazard": "flood", "divisions": ["990100101201"], "valid_to": "2026-02-30"},
        "/data/valid_to",
        "hazard.forecast",
        subject="990100101201",
    ),
]
DOCUMENTS = [*BYTES, *STRUCTURE, *NUMBERS, *STRINGS, *TIMES, *TYPES]


def by_name(bad: Bad) -> str:
    return bad.name


def check_problem(problem: dict[str, Any], bad: Bad) -> None:
    assert (problem["status"], problem["type"].rsplit("/", 1)[-1]) == (bad.status, bad.slug), problem
    assert problem["detail"] and problem["title"] and problem["title_zh"]
    pointers = [fault["pointer"] for fault in problem["errors"]]
    assert bad.pointer is None or bad.pointer in pointers, pointers
    assert all(fault["detail"] and fault["code"] for fault in problem["errors"])


def check_answer(answer: httpx2.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert CANARY not in answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["type"].endswith(f"/problems/{slug}")
    return problem


@pytest.mark.parametrize("bad", DOCUMENTS, ids=by_name)
async def test_a_bad_event_is_refused_with_its_place(ingest: IngestUnderTest, bad: Bad) -> None:
    before = len(ingest.log.records)
    problem = check_answer(await ingest.post(bad.body), bad.status, bad.slug)
    check_problem(problem, bad)
    assert len(ingest.log.records) == before


@pytest.mark.parametrize("bad", [bad for bad in DOCUMENTS if b"\n" not in bad.body], ids=by_name)
async def test_a_bad_line_does_not_spoil_its_neighbours(ingest: IngestUnderTest, bad: Bad) -> None:
    body = b"\n".join([encoded(id="first"), bad.body, encoded(id="last")])
    answer = await ingest.post(body, content_type=LINES, **POSTS)
    assert answer.status_code == 207, answer.text
    first, refused, last = answer.json()["results"]
    assert (first["status"], last["status"]) == ("accepted", "accepted")
    assert refused["status"] == "refused"
    check_problem(refused["problem"], bad)
    assert CANARY not in json.dumps({**refused, "id": None})


ARRAY_BREAKERS = re.compile(r"cut|UTF-16|UTF-32|open arrays|nobody closes|two documents|trailing text|comment|quotes")


@pytest.mark.parametrize("bad", [bad for bad in DOCUMENTS if not ARRAY_BREAKERS.search(bad.name)], ids=by_name)
async def test_a_bad_event_in_an_array_does_not_spoil_its_neighbours(ingest: IngestUnderTest, bad: Bad) -> None:
    body = b"[" + b",".join([encoded(id="first"), bad.body, encoded(id="last")]) + b"]"
    answer = await ingest.post(body, content_type=JSON_BATCH, **POSTS)
    assert answer.status_code == 207, answer.text
    first, refused, last = answer.json()["results"]
    assert (first["status"], refused["status"], last["status"]) == ("accepted", "refused", "accepted")
    check_problem(refused["problem"], bad)
    assert CANARY not in json.dumps({**refused, "id": None})


@pytest.mark.parametrize("bad", [bad for bad in DOCUMENTS if ARRAY_BREAKERS.search(bad.name)], ids=by_name)
async def test_an_array_that_cannot_be_cut_is_never_a_fault_of_ours(ingest: IngestUnderTest, bad: Bad) -> None:
    answer = await ingest.post(b"[" + bad.body + b"]", content_type=JSON_BATCH, **POSTS)
    assert answer.status_code in (207, 400, 413), answer.text
    assert CANARY not in answer.text


async def test_an_event_cut_at_any_byte_is_refused(ingest: IngestUnderTest) -> None:
    for end in range(len(GOOD)):
        answer = await ingest.post(GOOD[:end])
        assert answer.status_code in (400, 422), end


@pytest.mark.parametrize("body", [b"", b" \n\t", b"\r\n"])
async def test_an_empty_body_is_refused(ingest: IngestUnderTest, body: bytes) -> None:
    check_answer(await ingest.post(body), 400, "malformed-json")
    check_answer(await ingest.post(body, content_type=JSON_BATCH, **POSTS), 400, "malformed-json")
    check_answer(await ingest.post(body, content_type=LINES, **POSTS), 422, "invalid-event")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/xml",
        "application/json",
        "application/cloudevents+xml",
        JSON_BATCH,
        LINES,
        "multipart/form-data; boundary=x",
        "application/cloudevents+json; charset=gbk",
        "application/cloudevents+json; charset=utf-16",
        'application/cloudevents+json; charset="latin-1"',
        "application/cloudevents+jsonx",
        f"x/{CANARY}",
        "\u00ff",
    ],
)
async def test_another_content_type_is_refused(ingest: IngestUnderTest, content_type: str | None) -> None:
    check_answer(await ingest.post(GOOD, content_type=content_type), 415, "unsupported-media-type")


@pytest.mark.parametrize("content_type", [None, STRUCTURED, "application/json", f"{LINES}; charset=gbk"])
async def test_another_content_type_of_a_batch_is_refused(ingest: IngestUnderTest, content_type: str | None) -> None:
    check_answer(await ingest.post(GOOD, content_type=content_type, **POSTS), 415, "unsupported-media-type")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, gzip", "identity, gzip", CANARY])
async def test_a_packed_body_is_refused(ingest: IngestUnderTest, encoding: str) -> None:
    bomb = gzip.compress(b"0" * 1_000_000, mtime=0)
    answer = await ingest.post(bomb, headers={"content-encoding": encoding})
    check_answer(answer, 415, "unsupported-media-type")


async def test_two_content_types_are_refused(ingest: IngestUnderTest) -> None:
    headers = [("content-type", STRUCTURED), ("content-type", "application/json")]
    check_answer(await ingest.post(GOOD, headers=headers), 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content_type", [f"{STRUCTURED}; charset=UTF-8", 'Application/CloudEvents+JSON;charset="utf-8"']
)
async def test_utf_8_may_be_named(ingest: IngestUnderTest, content_type: str) -> None:
    answer = await ingest.post(GOOD, content_type=content_type, headers={"content-encoding": "identity"})
    assert answer.status_code == 202


async def test_an_event_may_have_64_kib_and_no_byte_more(ingest: IngestUnderTest) -> None:
    full = GOOD + b" " * (64 * 1024 - len(GOOD))
    assert (await ingest.post(full)).status_code == 202
    check_answer(await ingest.post(full + b" "), 413, "too-large")
    answer = await ingest.post(full.rstrip() + b" " * 64 * 1024 + b"\n" + GOOD, content_type=LINES, **POSTS)
    assert answer.status_code == 202


async def test_an_event_over_64_kib_in_a_batch_is_refused_alone(ingest: IngestUnderTest) -> None:
    large = encoded(data={"person": "x" * 70_000})
    answer = await ingest.post(large + b"\n" + GOOD, content_type=LINES, **POSTS)
    assert [row["status"] for row in answer.json()["results"]] == ["refused", "accepted"]
    assert answer.json()["results"][0]["problem"]["status"] == 413


async def test_a_batch_may_have_1_mib_and_no_byte_more(ingest: IngestUnderTest) -> None:
    full = b"[" + GOOD + b" " * (1024 * 1024 - len(GOOD) - 2) + b"]"
    assert (await ingest.post(full, content_type=JSON_BATCH, **POSTS)).status_code == 202
    check_answer(await ingest.post(full + b" ", content_type=JSON_BATCH, **POSTS), 413, "too-large")


@pytest.mark.parametrize("declared", ["65537", "1048576", "9" * 5_000])
async def test_a_declared_length_over_the_limit_is_refused_before_reading(
    ingest: IngestUnderTest, declared: str
) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 1_000

    async with ingest.client() as client:
        headers = {"authorization": "Bearer sw_all.secret-of-all", "content-type": STRUCTURED}
        request = client.build_request("POST", "/v1/events", content=endless(), headers=headers)
        del request.headers["transfer-encoding"]
        request.headers["content-length"] = declared
        check_answer(await client.send(request), 413, "too-large")
    assert read <= 1


async def test_a_body_without_a_declared_length_is_cut_off_while_it_comes(ingest: IngestUnderTest) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 1_000

    async with ingest.client() as client:
        headers = {"authorization": "Bearer sw_all.secret-of-all", "content-type": STRUCTURED}
        check_answer(await client.post("/v1/events", content=endless(), headers=headers), 413, "too-large")
    assert read < 70


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer sw_all.",
        "Bearer .secret-of-all",
        "Bearer sw_all.wrong" + CANARY,
        "Bearer sw_nobody.secret-of-all",
        "Basic c3dfYWxsOnNlY3JldA==",
        "Bearer sw_all.secret-of-all extra",
        "Bearer " + "x" * 300 + ".y",
        "Bearer sw_all.secret\u00e9",
    ],
)
async def test_a_bad_key_is_refused_before_anything_else_is_looked_at(
    ingest: IngestUnderTest, authorization: str
) -> None:
    headers = [(b"authorization", authorization.encode("latin-1"))] if authorization else []
    for path in ("/v1/events", "/v1/events/batch"):
        async with ingest.client() as client:
            answer = await client.post(path, content=b"\xff" * 2_000_000, headers=headers)
        check_answer(answer, 401, "unauthorised")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("as_key", "changes", "says"),
    [
        ("village", {"division": "990100101202"}, "990100101201"),
        ("village", {"division": "110101001001"}, "division"),
        ("village", {"type": "cn.shouwang.work.job_loss.v1", "data": {}}, "event type"),
        ("village", {"sourceclass": "department"}, "cadre"),
        ("own_reports", {"sourceclass": "department"}, "self"),
        ("own_reports", {"sourceclass": "grid"}, "self"),
        ("reader", {}, "scope"),
        ("one_source", {"source": "urn:dept:health"}, "source scope"),
        ("one_source", {"source": "urn:app:village-notes-2"}, "source scope"),
        ("village", {"type": "cn.shouwang.registry.moved.v1", "data": {"division": "110101001001"}}, "division scope"),
        (
            "village",
            {
                "type": "cn.shouwang.hazard.forecast.v1",
                "subject": "990100101201",
                "data": {
                    "stage": "action",
                    "hazard": "flood",
                    "divisions": ["990100101201", "110101001001"],
                    "valid_to": "2026-07-12",
                },
            },
            "division",
        ),
    ],
)
async def test_a_key_cannot_speak_beyond_its_scopes(
    ingest: IngestUnderTest, as_key: str, changes: dict[str, Any], says: str
) -> None:
    before = len(ingest.log.records)
    problem = check_answer(await ingest.post(make_event(**changes), as_key=as_key), 403, "forbidden")
    assert says in problem["detail"]
    batch = await ingest.post([make_event(**changes)], as_key=as_key, content_type=JSON_BATCH, **POSTS)
    assert batch.json()["results"][0]["problem"]["status"] == 403
    assert len(ingest.log.records) == before


async def test_a_key_sends_under_its_own_sources(ingest: IngestUnderTest) -> None:
    for source in ("urn:app:village-notes", "urn:dept:a:1"):
        assert (await ingest.post(make_event(source=source), as_key="one_source")).status_code == 202


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"baseline": {"as_of": "2030-01-01"}}, "/data/baseline/as_of"),
        ({"baseline": {"as_of": "1949-10-01"}}, "/data/baseline/as_of"),
        ({"enrolled_on": "2099-01-01"}, "/data/enrolled_on"),
        ({"monitored_on": "2206-01-01"}, "/data/monitored_on"),
    ],
)
async def test_a_mistyped_year_cannot_silence_a_household(
    ingest: IngestUnderTest, changes: dict[str, Any], pointer: str
) -> None:
    household = make_household(**{**changes, "baseline": changes.get("baseline")})
    event = make_event(type="cn.shouwang.registry.enrolled.v1", data=household)
    problem = check_answer(await ingest.post(event), 422, "invalid-event")
    assert pointer in [fault["pointer"] for fault in problem["errors"]]


async def test_a_household_may_speak_for_itself(ingest: IngestUnderTest) -> None:
    own = make_event(type="cn.shouwang.self.report_hardship.v1", sourceclass="self", data={"text_ref": "doc-1"})
    assert (await ingest.post(own, as_key="own_reports")).status_code == 202


async def test_faults_come_all_at_once_but_never_more_than_twenty(ingest: IngestUnderTest) -> None:
    several = make_event(division="1", time="x", data={"self_pay_yuan": -1})
    pointers = [fault["pointer"] for fault in (await ingest.post(several)).json()["errors"]]
    assert sorted(pointers) == ["/data/self_pay_yuan", "/division", "/time"]
    many = make_event(data={f"unknown_{number}": 1 for number in range(150)})
    answer = await ingest.post(many)
    assert len(answer.json()["errors"]) == 20
    assert "130" in answer.json()["detail"]


async def test_the_server_says_what_time_it_has(ingest: IngestUnderTest) -> None:
    answer = await ingest.post(make_event(time="2027-01-01T00:00:00Z"))
    assert "2026-03-02T02:00:00.123Z" in answer.json()["detail"]


@pytest.mark.parametrize(
    "changes",
    [
        {"time": "2024-02-29T00:00:00+08:00"},
        {"time": "1990-01-01T00:00:00+08:00"},
        {"time": "2026-03-03T02:00:00Z"},
        {"time": "2026-03-02t01:30:00.123456789z"},
        {"subject": "household-nobody-knows"},
        {"division": "990199999999"},
        {"episode": "住院-2026-𠮷-😀"},
        {"data": {"person": "<script>alert(1)</script>"}},
        {"data": {"person": "=cmd()|{{7*7}}' OR 1=1 --"}},
        {"data": {"self_pay_yuan": "0.05"}},
        {"data": {"self_pay_yuan": 0}},
        {"data": {}},
        {"id": "a/b?c=%00&d#e"},
        {"dataschema": "urn:shouwang:schema:health.major_illness:v1"},
    ],
)
async def test_what_looks_odd_but_is_sound_is_accepted(ingest: IngestUnderTest, changes: dict[str, Any]) -> None:
    assert (await ingest.post(make_event(**changes))).status_code == 202


async def test_the_corpus_is_large_enough() -> None:
    assert len(DOCUMENTS) >= 120
    assert len({bad.body for bad in DOCUMENTS}) == len(DOCUMENTS)
