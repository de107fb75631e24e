"""Accepting events: the log first, then the answer; one bad event never spoils the others."""

import asyncio
import json

import pytest

from services.ingest.limits import InFlight
from services.ingest.recent_receipts import MAX_SOURCES, RecentReceipt, RecentReceipts
from shared.bus.ports import Receipt
from shared.codec import decode_json
from shared.errors import RefusedRequest
from tests.fakes.ingest_edge import JSON_BATCH, LINES, IngestUnderTest, make_event, started_ingest


@pytest.fixture
async def ingest() -> IngestUnderTest:
    return await started_ingest()


async def send_batch(ingest: IngestUnderTest, events: list[object]) -> list[dict[str, object]]:
    answer = await ingest.post(events, path="/v1/events/batch", content_type=JSON_BATCH)
    results: list[dict[str, object]] = answer.json()["results"]
    return results


async def test_an_accepted_event_stands_on_the_log_with_its_receipt(ingest: IngestUnderTest) -> None:
    answer = await ingest.post(make_event())
    assert answer.status_code == 202
    [written] = ingest.log.records
    assert answer.json() == {
        "id": "e-1",
        "status": "accepted",
        "partition": written.receipt.partition,
        "offset": written.receipt.offset,
    }
    assert (written.topic, written.key) == ("household.events.v1", "H-1")


async def test_the_record_says_when_it_was_received_and_by_which_key(ingest: IngestUnderTest) -> None:
    await ingest.post(make_event())
    event = decode_json(ingest.log.records[0].value)
    assert event["recordedat"] == "2026-03-02T02:00:00.123Z"
    assert event["keyid"] == "sw_all"
    assert event["time"] == "2026-03-02T01:30:00.000Z"
    assert event["data"] == {"person": "p1", "self_pay_yuan": 60000}


async def test_an_empty_episode_is_none(ingest: IngestUnderTest) -> None:
    assert (await ingest.post(make_event(episode=""))).status_code == 202
    assert "episode" not in decode_json(ingest.log.records[0].value)


async def test_a_repeat_is_answered_202_again(ingest: IngestUnderTest) -> None:
    assert (await ingest.post(make_event())).status_code == 202
    assert (await ingest.post(make_event())).status_code == 202


async def test_a_dry_run_checks_everything_and_sends_nothing(ingest: IngestUnderTest) -> None:
    answer = await ingest.post(make_event(), path="/v1/events?dry_run=true")
    assert (answer.status_code, answer.json()) == (200, {"id": "e-1", "status": "valid"})
    refused = await ingest.post(make_event(), path="/v1/events?dry_run=true", as_key="own_reports")
    assert refused.status_code == 403
    assert ingest.log.records == []


@pytest.mark.parametrize(
    "query", ["dryrun=true", "dry_run=yes", "dry_run=", "dry_run=true&dry_run=false", "Dry_Run=true"]
)
async def test_a_misspelt_dry_run_is_refused_and_not_sent_in_earnest(ingest: IngestUnderTest, query: str) -> None:
    answer = await ingest.post(make_event(), path=f"/v1/events?{query}")
    assert answer.status_code == 422
    assert ingest.log.records == []


async def test_without_the_log_the_answer_is_503_with_retry_after(ingest: IngestUnderTest) -> None:
    ingest.log.away = True
    answer = await ingest.post(make_event())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith("/problems/log-unavailable")
    assert ingest.count("events_total", verdict="not_accepted") == 1


async def test_a_log_that_does_not_answer_is_given_up_at_the_deadline(ingest: IngestUnderTest) -> None:
    ingest.log.hold()
    async with asyncio.timeout(1):
        assert (await ingest.post(make_event())).status_code == 503
    assert ingest.in_flight.bytes == 0


async def test_more_bytes_in_flight_than_allowed_are_refused_at_once() -> None:
    ingest = await started_ingest(max_in_flight_bytes=600)
    ingest.log.hold()
    first = asyncio.create_task(ingest.post(make_event()))
    while not ingest.log.waiting:
        await asyncio.sleep(0)
    second = await ingest.post(make_event(id="e-2"))
    assert (second.status_code, second.headers["retry-after"]) == (503, "2")
    ingest.log.let_go()
    assert (await first).status_code == 202
    assert (await ingest.post(make_event(id="e-2"))).status_code == 202


async def test_one_key_may_not_take_all_places_and_others_are_unharmed() -> None:
    ingest = await started_ingest(max_requests_per_key=1)
    ingest.log.hold()
    first = asyncio.create_task(ingest.post(make_event()))
    while not ingest.log.waiting:
        await asyncio.sleep(0)
    busy = await ingest.post(make_event(id="e-2"))
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "1")
    other = asyncio.create_task(ingest.post(make_event(id="e-3"), as_key="village"))
    await asyncio.sleep(0.01)
    ingest.log.let_go()
    assert {(await first).status_code, (await other).status_code} == {202}


async def test_each_event_of_a_batch_has_a_verdict_of_its_own(ingest: IngestUnderTest) -> None:
    events = [make_event(id="a"), make_event(id="b", division="9"), make_event(id="c", subject="H-2")]
    answer = await ingest.post(events, path="/v1/events/batch", content_type=JSON_BATCH)
    assert answer.status_code == 207
    verdicts = [(row["index"], row["id"], row["status"]) for row in answer.json()["results"]]
    assert verdicts == [(0, "a", "accepted"), (1, "b", "refused"), (2, "c", "accepted")]
    problem = answer.json()["results"][1]["problem"]
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/division")
    assert len(ingest.log.records) == 2


async def test_a_batch_that_is_taken_whole_is_answered_202(ingest: IngestUnderTest) -> None:
    events = [make_event(id=f"e-{number}", subject=f"H-{number % 7}") for number in range(500)]
    answer = await ingest.post(events, path="/v1/events/batch", content_type=JSON_BATCH)
    assert answer.status_code == 202
    assert all("offset" in row for row in answer.json()["results"])
    assert len(ingest.log.records) == 500


async def test_lines_are_taken_like_an_array(ingest: IngestUnderTest) -> None:
    body = b"\n".join(json.dumps(make_event(id=str(number))).encode() for number in range(3)) + b"\r\n\n"
    answer = await ingest.post(body, path="/v1/events/batch", content_type=LINES)
    assert answer.status_code == 202
    assert [row["id"] for row in answer.json()["results"]] == ["0", "1", "2"]


async def test_the_order_of_a_household_within_a_batch_is_kept(ingest: IngestUnderTest) -> None:
    events: list[object] = [make_event(id=f"{number}", subject=f"H-{number % 3}") for number in range(60)]
    await send_batch(ingest, events)
    for household in ("H-0", "H-1", "H-2"):
        order = [int(decode_json(one.value)["id"]) for one in ingest.log.records if one.key == household]
        assert order == sorted(order)


async def test_after_an_event_the_log_does_not_take_the_rest_of_its_household_waits(ingest: IngestUnderTest) -> None:
    ingest.log.refuses = lambda _key, value: b'"id":"b"' in value
    events: list[object] = [
        make_event(id="a"),
        make_event(id="b"),
        make_event(id="c"),
        make_event(id="d", subject="H-2"),
    ]
    results = await send_batch(ingest, events)
    assert [row["status"] for row in results] == ["accepted", "not_accepted", "not_accepted", "accepted"]
    assert results[1]["problem"]["status"] == 503  # type: ignore[index]


async def test_a_batch_is_503_only_when_the_log_took_none_of_its_events(ingest: IngestUnderTest) -> None:
    ingest.log.away = True
    events = [make_event(id="a"), make_event(id="b")]
    answer = await ingest.post(events, path="/v1/events/batch", content_type=JSON_BATCH)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    mixed = await ingest.post([*events, {}], path="/v1/events/batch", content_type=JSON_BATCH)
    assert (mixed.status_code, mixed.headers["retry-after"]) == (207, "2")
    assert [row["status"] for row in mixed.json()["results"]] == ["not_accepted", "not_accepted", "refused"]


async def test_a_batch_is_published_together_and_not_one_by_one(ingest: IngestUnderTest) -> None:
    ingest.log.hold()
    events = [make_event(id=str(number), subject=f"H-{number}") for number in range(100)]
    sending = asyncio.create_task(ingest.post(events, path="/v1/events/batch", content_type=JSON_BATCH))
    async with asyncio.timeout(2):
        while ingest.log.waiting < 100:
            await asyncio.sleep(0)
    ingest.log.let_go()
    assert (await sending).status_code == 202


@pytest.mark.parametrize(("count", "status"), [(0, 422), (1, 202), (500, 202), (501, 413)])
async def test_a_batch_holds_from_1_to_500_events(ingest: IngestUnderTest, count: int, status: int) -> None:
    events = [make_event(id=str(number)) for number in range(count)]
    answer = await ingest.post(events, path="/v1/events/batch", content_type=JSON_BATCH)
    assert answer.status_code == status
    lines = b"\n".join(json.dumps(event).encode() for event in events)
    answer = await ingest.post(lines, path="/v1/events/batch", content_type=LINES)
    assert answer.status_code == status


async def test_a_dry_run_of_a_batch_sends_nothing(ingest: IngestUnderTest) -> None:
    path = "/v1/events/batch?dry_run=true"
    good = await ingest.post([make_event()], path=path, content_type=JSON_BATCH)
    mixed = await ingest.post([make_event(), {}], path=path, content_type=JSON_BATCH)
    assert (good.status_code, mixed.status_code) == (200, 207)
    assert [row["status"] for row in mixed.json()["results"]] == ["valid", "refused"]
    assert ingest.log.records == []


async def test_the_callers_trace_travels_with_the_event(ingest: IngestUnderTest) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await ingest.post(make_event(), headers={"traceparent": trace})
    await ingest.post(make_event(traceparent=trace.replace("4bf", "5cf")), headers={"traceparent": trace})
    for broken in (trace.upper(), "ff" + trace[2:], trace.replace("00f067aa0ba902b7", "0" * 16), trace + "-x", "junk"):
        await ingest.post(make_event(), headers={"traceparent": broken})
    sent = [decode_json(one.value).get("traceparent") for one in ingest.log.records]
    assert sent == [trace, trace.replace("4bf", "5cf"), None, None, None, None, None]


async def test_the_database_away_does_not_stop_known_keys(ingest: IngestUnderTest) -> None:
    ingest.keys.away = True
    await ingest.key_cache.refresh()
    assert (await ingest.post(make_event())).status_code == 202


async def test_a_revoked_key_is_refused_after_the_next_refresh(ingest: IngestUnderTest) -> None:
    ingest.keys.revoked.add("all")
    await ingest.key_cache.refresh()
    answer = await ingest.post(make_event())
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_before_the_keys_were_read_nobody_is_told_that_his_key_is_wrong() -> None:
    answer = await IngestUnderTest().post(make_event())
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


async def test_verdicts_and_refusals_are_counted(ingest: IngestUnderTest) -> None:
    await ingest.post(make_event())
    await ingest.post(make_event(division="1"))
    await ingest.post([make_event(), {}], path="/v1/events/batch", content_type=JSON_BATCH)
    assert ingest.count("events_total", verdict="accepted") == 2
    assert ingest.count("events_total", verdict="refused") == 2
    assert ingest.count("refused_total", problem="invalid-event") == 2
    assert ingest.count("refused_total", problem="forbidden") == 0
    assert ingest.count("publish_seconds_count") == 2


def test_in_flight_bytes_are_given_back_after_a_failure() -> None:
    in_flight = InFlight(max_bytes=10, max_requests_per_key=1)
    with pytest.raises(ZeroDivisionError), in_flight.request_of("k") as held:
        held.grow(10)
        raise ZeroDivisionError
    with in_flight.request_of("k") as held:
        held.grow(4)
        held.become(10)
        with in_flight.request_of("other") as other, pytest.raises(RefusedRequest):
            other.grow(1)
    assert in_flight.bytes == 0


async def test_bytes_count_from_their_arrival_on() -> None:
    ingest = await started_ingest(max_in_flight_bytes=50_000)
    answer = await ingest.post(b"[" + b" " * 60_000 + b"]", path="/v1/events/batch", content_type=JSON_BATCH)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert ingest.in_flight.bytes == 0


def test_only_the_newest_receipts_are_remembered() -> None:
    receipts = RecentReceipts(3)
    for number in range(5):
        receipts.remember("k", str(number), "urn:a", RecentReceipt(Receipt(0, number), "H-1", "t"))
    assert [bool(receipts.of("k", str(number))) for number in range(5)] == [False, False, True, True, True]
    for number in range(50):
        receipts.remember("k", "4", f"urn:{number}", RecentReceipt(Receipt(0, number), "H-1", "t"))
    assert len(receipts.of("k", "4")) == MAX_SOURCES
