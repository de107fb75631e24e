"""The load of the chaos tests is a witness: what its journal says must be so, whatever ingest does."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from services.ingest.check_event import check_event
from shared.access import AccessKey
from shared.clock import SystemClock
from shared.codec import MalformedJson, decode_json
from shared.errors import RefusedRequest
from tests.chaos.answers import ECHOES, PROBLEM_TYPE, UNREADABLE, read_answers
from tests.chaos.field_app import FieldApp, FieldEvent, Form, Kind
from tests.chaos.journal import Journal, read_journal
from tests.chaos.maker import CANARIES, EventMaker
from tests.chaos.mix import OF_A_HUNDRED, Mix
from tests.chaos.workload import Workload
from tests.fakes.ingest_edge import NOW, SCOPES
from tests.fakes.scripted_ingest import ScriptedIngest, scripted_ingest

TODAY = date(2026, 3, 2)
FINAL = ("ok", "fail")


@dataclass
class Scene:
    """A load before a scripted ingest, and its two journals."""

    load: Workload
    ingest: ScriptedIngest
    client: Journal
    events: Journal

    def lines(self) -> list[dict[str, Any]]:
        """Return the client's journal."""
        self.client.write(op="mark").result()
        return [line for line in read_journal(self.client.path) if line["op"] != "mark"]


@asynccontextmanager
async def scene(directory: Path, households: int = 12, timeout_seconds: float = 5.0) -> AsyncIterator[Scene]:
    """Run a load against a scripted ingest."""
    with Journal(directory / "client.jsonl") as client, Journal(directory / "events.jsonl") as events:
        async with scripted_ingest(client.path) as ingest:
            load = Workload(
                base_url=lambda: ingest.url,
                api_key="sw_test.secret",
                run="t1",
                seed=1,
                journal=client,
                events=events,
                households=households,
                today=TODAY,
                timeout_seconds=timeout_seconds,
            )
            try:
                yield Scene(load, ingest, client, events)
            finally:
                await load.close()


async def until_arrived(load: Workload, arrivals: int) -> None:
    """Wait for so many arrivals."""
    while load.counts.arrivals < arrivals:
        await asyncio.sleep(0.01)


def drawn(seed: int, arrivals: int, households: int = 120) -> list[FieldEvent]:
    """The events of a run, without sending them."""
    mix = Mix(EventMaker("t1", seed, TODAY), households)
    return [event for number in range(arrivals) for parcel in mix.next(float(number)) for event in parcel.events]


def refusal_of(event: FieldEvent) -> RefusedRequest | MalformedJson | None:
    """What ingest's own check says of an event; None if it takes it."""
    key = AccessKey(
        key_id="sw_test", secret_sha256=b"", name="test", scopes=SCOPES["all"], created_at=NOW, revoked_at=None
    )
    try:
        check_event(decode_json(event.body), key, SystemClock().now())
    except (RefusedRequest, MalformedJson) as refusal:
        return refusal
    return None


async def test_every_request_is_in_the_journal_before_it_leaves(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.load.enrol()
        await here.load.start(rate=200)
        await until_arrived(here.load, 60)
        await here.load.stop()
        assert await here.load.retry_unknown(time.monotonic() + 10) == 0
        assert here.ingest.bodies
        assert here.ingest.unannounced == []


async def test_whatever_ingest_does_each_send_ends_with_ok_or_fail_and_always_the_same_bytes(tmp_path: Path) -> None:
    async with scene(tmp_path, timeout_seconds=0.3) as here:
        await here.load.enrol()
        here.ingest.answers = ["503", "429", "hang", "reset", "take_and_reset", "page", "422", "500", "408"] * 3
        await here.load.start(rate=200)
        await until_arrived(here.load, 80)
        await here.load.stop()
        assert await here.load.retry_unknown(time.monotonic() + 20) == 0
        last = {(line["id"], line["body_sha"]): line["op"] for line in here.lines()}
        assert set(last.values()) <= set(FINAL)
        problems = {line["problem"] for line in here.lines() if line["op"] == "info"}
        assert {
            "log-unavailable",
            "too-many-requests",
            "too-slow",
            "internal",
            "timeout",
            "unreadable-answer",
        } < problems
        shown = [line["body_sha"] for line in read_journal(here.events.path)]
        assert sorted(set(shown)) == sorted(shown) == sorted({sha for _, sha in last})


async def test_events_sent_again_after_an_unknown_fate_are_the_same_bytes(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        here.ingest.answers = ["take_and_reset", "503:0", "202"]
        here.load.submit([here.load.make("housing.repaired", {}, "t1-h0000")])
        assert await here.load.retry_unknown(time.monotonic() + 10) == 0
        assert len(here.ingest.bodies) == 3
        assert len(set(here.ingest.bodies)) == 1
        assert [line["op"] for line in here.lines()] == ["invoke", "info", "invoke", "info", "invoke", "ok"]


async def test_only_the_events_of_a_batch_that_were_not_taken_are_sent_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        here.ingest.answers = ["mixed"]
        batch = [here.load.make("housing.repaired", {}, f"t1-h000{number}") for number in range(6)]
        here.load.submit(batch, Form.LINES)
        assert await here.load.retry_unknown(time.monotonic() + 10) == 0
        assert [json.loads(line)["id"] for line in here.ingest.bodies[1].split(b"\n")] == [batch[1].id, batch[4].id]
        ends = {line["id"]: (line["op"], line["status"]) for line in here.lines()}
        assert [ends[event.id] for event in batch] == [("ok", 202), ("ok", 202), ("fail", 422)] * 2


async def test_a_household_never_has_two_open_requests_and_keeps_its_order(tmp_path: Path) -> None:
    async with scene(tmp_path, households=5) as here:
        await here.load.enrol()
        here.ingest.answers = ["503:0", "reset", "202"] * 10
        await here.load.start(rate=300)
        await until_arrived(here.load, 120)
        await here.load.stop()
        await here.load.retry_unknown(time.monotonic() + 10)
        assert here.ingest.most_open_for_one_household == 1
        made: dict[str, list[str]] = {}
        for event in here.ingest.kept:
            home = made.setdefault(event.get("subject", event["id"]), [])
            if event["id"] not in home:
                home.append(event["id"])
        assert all(ids == sorted(ids) for ids in made.values())


async def test_arrivals_do_not_wait_for_answers(tmp_path: Path) -> None:
    async with scene(tmp_path, households=30) as here:
        await here.load.enrol()
        here.ingest.always = "hang"
        before = here.load.counts.ok
        await here.load.start(rate=300)
        await until_arrived(here.load, 100)
        counts = here.load.counts
        assert counts.ok == before
        assert counts.unknown + counts.unsent >= 100


async def test_a_stopped_load_sends_nothing_until_the_retry_pass(tmp_path: Path) -> None:
    async with scene(tmp_path, timeout_seconds=0.2) as here:
        await here.load.enrol()
        here.ingest.always = "503:0"
        await here.load.start(rate=200)
        await until_arrived(here.load, 40)
        await here.load.stop()
        asked = len(here.ingest.bodies)
        here.ingest.always = "202"
        await asyncio.sleep(0.3)  # longer than any pause between two tries so far
        assert len(here.ingest.bodies) == asked
        assert await here.load.retry_unknown(time.monotonic() + 10) == 0


@pytest.mark.parametrize(("answer", "pause"), [("503:1", 1.0), ("429:30", 2.0), ("503", 0.1), ("202", 0.1)])
async def test_a_field_app_waits_as_long_as_it_is_told_but_never_too_long(
    tmp_path: Path, answer: str, pause: float
) -> None:
    with Journal(tmp_path / "client.jsonl") as client, Journal(tmp_path / "events.jsonl") as events:
        async with scripted_ingest(client.path) as ingest:
            ingest.answers = [answer]
            app = FieldApp(lambda: ingest.url, "sw_test.secret", "t1", client, events)
            maker = EventMaker("t1", 1, TODAY)
            attempt = await app.post([maker.enrolment(maker.home(0), 0.0)], Form.ONE, 1)
            await app.close()
    assert attempt.pause_seconds == pause


@pytest.mark.parametrize(
    ("status", "media_type", "body", "op", "problem"),
    [
        (202, "application/json", '{"id": "e1", "status": "accepted", "partition": 0, "offset": 4}', "ok", None),
        (
            202,
            "application/json",
            '{"id": "e2", "status": "accepted", "partition": 0, "offset": 4}',
            "info",
            UNREADABLE,
        ),
        (202, "application/json", '{"id": "e1", "status": "acc', "info", UNREADABLE),
        (200, "application/json", "{}", "info", UNREADABLE),
        (422, PROBLEM_TYPE, '{"type": "http://x/problems/invalid-event"}', "fail", "invalid-event"),
        (422, "application/json", '{"type": "http://x/problems/invalid-event"}', "fail", UNREADABLE),
        (409, PROBLEM_TYPE, '{"type": "http://x/problems/other"}', "info", "other"),
        (502, "text/html", "<html>", "info", UNREADABLE),
        (422, PROBLEM_TYPE, '{"type": "http://x/problems/invalid-event", "detail": "no \\u91d1"}', "fail", ECHOES),
    ],
)
def test_an_answer_is_ok_or_fail_only_if_it_says_so(
    status: int, media_type: str, body: str, op: str, problem: str | None
) -> None:
    (answer,) = read_answers(status, media_type, body.encode(), ["e1"], alone=True, canaries=["金"])
    assert (answer.op, answer.problem) == (op, problem)


def test_a_seed_repeats_its_events_to_the_byte() -> None:
    assert drawn(7, 500) == drawn(7, 500)
    assert [event.body for event in drawn(7, 50)] != [event.body for event in drawn(8, 50)]


def test_ingest_takes_what_the_load_calls_sound_and_refuses_the_rest_without_a_canary() -> None:
    for event in drawn(3, 1_500):
        refusal = refusal_of(event)
        assert (refusal is not None) == (event.kind is Kind.INVALID), (event.body, refusal)
        if event.kind is Kind.INVALID:
            assert any(canary in event.body.decode() for canary in CANARIES)
            told = [refusal, getattr(refusal, "faults", None), getattr(refusal, "fault", None)]
            assert not any(canary in repr(told) for canary in CANARIES)


def test_the_mix_is_as_planned_and_every_serious_event_meets_a_household_in_peace() -> None:
    arrivals: Counter[Kind] = Counter()
    mix = Mix(EventMaker("t1", 5, TODAY), 120)
    touched: set[str] = set()
    for number in range(600):
        parcels = mix.next(float(number))
        events = [event for parcel in parcels for event in parcel.events]
        arrivals[
            Kind.SERIOUS if any(event.kind is Kind.SERIOUS for event in events) else parcels[0].events[0].kind
        ] += 1
        assert all(event.household not in touched for event in events if event.kind is Kind.SERIOUS)
        touched.update(event.household for event in events if event.type != "registry.enrolled")
    assert arrivals[Kind.SERIOUS] == 6 * OF_A_HUNDRED[Kind.SERIOUS] >= 60


def test_a_torn_last_line_of_a_journal_is_left_out(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.write(word="整")
    with (tmp_path / "j.jsonl").open("a") as file:
        file.write('{"at": 1, "wo')
    assert [line["word"] for line in read_journal(tmp_path / "j.jsonl")] == ["整"]


def test_a_journal_that_cannot_write_says_so() -> None:
    with Journal(Path("/dev/full")) as journal:
        with pytest.raises(OSError, match="No space left"):
            journal.write(word="x").result()
        with pytest.raises(OSError, match="No space left"):
            journal.write(word="x")


async def test_a_load_whose_journal_broke_fails(tmp_path: Path) -> None:
    with Journal(Path("/dev/full")) as client, Journal(tmp_path / "events.jsonl") as events:
        load = Workload(
            base_url=lambda: "http://127.0.0.1:9", api_key="k", run="t", seed=1, journal=client, events=events
        )
        with pytest.raises(OSError, match="No space left"):
            await load.enrol()
        with pytest.raises(OSError, match="No space left"):
            await load.close()
