"""The load that a user sends to his own machine: what it consists of, how it is sent, how it is counted."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.ingest.check_event import check_event
from services.ingest.load.households import enrolment, households, villages_of
from services.ingest.load.mix import ONE_ROW, ROWS, Mix
from services.ingest.load.open_loop import OpenLoop, Unreachable
from services.ingest.load.parcels import Parcel
from services.ingest.load.show import Run, as_document, as_text, buckets
from services.ingest.load.tally import Tally, percentiles_ms
from services.ingest.load.target import Target
from services.ingest.main import cli
from shared.access import AccessKey, Scopes
from shared.codec import decode_json
from shared.errors import RefusedRequest
from shared.events.household_event import SourceClass
from tests.fakes.scripted_ingest import ScriptedIngest, scripted_ingest
from tests.services import free_port

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
SECRET = "sw1.do-not-tell"
KEY = AccessKey(
    key_id="sw1",
    secret_sha256=b"",
    name="load",
    scopes=Scopes(division="99", types=("*",), sourceclasses=tuple(SourceClass)),
    created_at=NOW,
)


def drawn(count: int) -> list[Parcel]:
    return list(islice(Mix(households(50, "990101"), "load-1", lambda: NOW).one_by_one(), count))


def test_all_but_the_faulty_events_of_the_mix_are_what_the_edge_takes() -> None:
    for parcel in drawn(3_000):
        [body] = parcel.bodies
        if parcel.is_faulty:
            with pytest.raises(RefusedRequest):
                check_event(decode_json(body), KEY, NOW)
        else:
            check_event(decode_json(body), KEY, NOW)


def test_the_mix_has_the_proportions_of_an_ordinary_county() -> None:
    parcels = drawn(20_000)
    events = [json.loads(parcel.bodies[0]) for parcel in parcels]
    types = Counter(event["type"].removeprefix("cn.shouwang.").removesuffix(".v1") for event in events)
    families = Counter[str]()
    for kind, count in types.items():
        families[kind.partition(".")[0]] += count
    repeated = len(events) - len({event["id"] for event in events})
    late = sum(NOW - datetime.fromisoformat(event["time"]) > timedelta(hours=12) for event in events)
    assert sum(row.share for row in ROWS) == pytest.approx(100)
    assert families["health"] / len(events) == pytest.approx(0.43, abs=0.02)
    assert families["relief"] / len(events) == pytest.approx(0.19, abs=0.02)
    assert repeated / len(events) == pytest.approx(0.03, abs=0.005)
    assert types["event.refuted"] / len(events) == pytest.approx(0.02, abs=0.005)
    assert types["event.corrected"] / len(events) == pytest.approx(0.01, abs=0.005)
    assert sum(parcel.is_faulty for parcel in parcels) / len(events) == pytest.approx(0.005, abs=0.002)
    assert late / len(events) == pytest.approx(0.05, abs=0.01)


def test_one_type_alone_is_sent_plainly() -> None:
    mix = Mix(households(5, "99"), "load-1", lambda: NOW, rows=(ONE_ROW,), is_plain=True)
    events = [json.loads(parcel.bodies[0]) for parcel in islice(mix.one_by_one(), 200)]
    assert {event["type"] for event in events} == {"cn.shouwang.health.hospitalisation.v1"}
    assert len({event["id"] for event in events}) == 200


def test_a_batch_holds_as_many_events_as_asked_for_and_no_faulty_one() -> None:
    mix = Mix(households(5, "99"), "load-1", lambda: NOW)
    for parcel in islice(mix.in_batches(20), 50):
        assert (len(parcel.bodies), parcel.is_batch, parcel.is_faulty) == (20, True, False)
        for body in parcel.bodies:
            check_event(decode_json(body), KEY, NOW)


@pytest.mark.parametrize("today", [date(2026, 3, 2), date(2026, 9, 30), date(2026, 12, 31)])
def test_its_households_can_be_enrolled_on_any_day(today: date) -> None:
    noon = datetime(today.year, today.month, today.day, 4, tzinfo=UTC)
    event = enrolment(households(1, "990101")[0], today)
    assert check_event(event, KEY, noon).event_type == "registry.enrolled"
    assert enrolment(households(1, "990101")[0], today) == event


@pytest.mark.parametrize(
    ("division", "count"), [("99", 60), ("9901", 60), ("990101", 60), ("990101101", 20), ("990101101201", 1)]
)
def test_villages_lie_in_the_division(division: str, count: int) -> None:
    villages = villages_of(division)
    assert len(villages) == count
    assert all(len(code) == 12 and code.isdigit() and code.startswith(division) for code in villages)


def test_percentiles_are_waits_that_were_measured() -> None:
    waits = [number / 1000 for number in range(1, 1_001)]
    assert percentiles_ms(waits) == {"p50": 500.0, "p90": 900.0, "p99": 990.0, "p99.9": 999.0, "max": 1000.0}
    assert percentiles_ms([0.0042]) == dict.fromkeys(("p50", "p90", "p99", "p99.9", "max"), 4.2)
    assert percentiles_ms([]) == {}


def test_bars_begin_and_end_where_there_are_waits() -> None:
    assert list(buckets([0.0015, 0.0015, 0.012])) == [("< 2 ms", 2), ("< 5 ms", 0), ("< 10 ms", 0), ("< 20 ms", 1)]
    assert list(buckets([60.0])) == [(">= 10,000 ms", 1)]
    assert list(buckets([])) == []


def test_the_key_is_shown_nowhere() -> None:
    target = Target.of("http://127.0.0.1:1", SECRET)
    assert "do-not-tell" not in repr(target)
    for url, key in (("127.0.0.1:8080", SECRET), ("ftp://x", SECRET), ("http://x", "do-not-tell it")):
        with pytest.raises(ValueError, match=r"give the address|does not look like") as refused:
            Target.of(url, key)
        assert "do-not-tell" not in str(refused.value)


def test_an_address_below_a_path_and_one_of_ipv6_are_written_as_http_wants() -> None:
    head = Target.of("https://[::1]/edge/", SECRET).request([b"{}"], is_batch=False)
    assert head.startswith(b"POST /edge/v1/events HTTP/1.1\r\nhost: [::1]:443\r\n")
    assert head.endswith(b"content-length: 2\r\n\r\n{}")


@asynccontextmanager
async def loop_against(ingest: ScriptedIngest, connections: int = 1) -> AsyncIterator[tuple[OpenLoop, Tally]]:
    tally = Tally()
    loop = OpenLoop(Target.of(ingest.url, SECRET), connections, tally)
    await loop.open()
    try:
        yield loop, tally
    finally:
        loop.close()


@pytest.fixture
async def ingest(tmp_path: Path) -> AsyncIterator[ScriptedIngest]:
    journal = tmp_path / "journal"
    journal.touch()
    async with scripted_ingest(journal) as running:
        yield running


def parcels(count: int, **changes: Any) -> Iterator[Parcel]:
    return (Parcel([json.dumps({"id": str(number), "subject": "H-1"}).encode()], **changes) for number in range(count))


@pytest.mark.parametrize("answer", ["503:0", "429:0", "408"])
async def test_what_may_pass_is_sent_again_with_the_same_id(ingest: ScriptedIngest, answer: str) -> None:
    ingest.answers = [answer, answer]
    async with loop_against(ingest) as (loop, tally):
        await loop.run(parcels(1), every_seconds=1, seconds=1, on_tick=lambda _: None)
    assert (tally.offered, tally.taken, tally.held_back, len(tally.waits)) == (1, 1, 2, 1)
    assert tally.statuses == {int(answer[:3]): 2, 202: 1}
    assert [json.loads(body)["id"] for body in ingest.bodies] == ["0", "0", "0"]


async def test_connections_are_kept_from_one_request_to_the_next(ingest: ScriptedIngest) -> None:
    async with loop_against(ingest, connections=2) as (loop, tally):
        await loop.run(parcels(50), every_seconds=0.002, seconds=0.1, on_tick=lambda _: None)
    assert (tally.taken, ingest.connections) == (50, 2)


async def test_a_lost_connection_is_opened_anew_and_the_event_goes_again(ingest: ScriptedIngest) -> None:
    ingest.answers = ["reset", "take_and_reset"]
    async with loop_against(ingest) as (loop, tally):
        await loop.run(parcels(1), every_seconds=1, seconds=1, on_tick=lambda _: None)
    assert (tally.taken, tally.lost_connections) == (1, 2)


async def test_of_a_batch_only_what_was_not_accepted_goes_again(ingest: ScriptedIngest) -> None:
    ingest.answers = ["mixed"]
    bodies = [json.dumps({"id": str(number), "subject": "H-1"}).encode() for number in range(3)]
    async with loop_against(ingest) as (loop, tally):
        await loop.run(iter([Parcel(bodies, is_batch=True)]), every_seconds=1, seconds=1, on_tick=lambda _: None)
    assert (tally.offered, tally.taken, tally.refused, tally.held_back) == (3, 2, 1, 1)
    assert ingest.bodies[1] == bodies[1]


async def test_refusals_are_told_by_problem_and_those_on_purpose_do_not_count(ingest: ScriptedIngest) -> None:
    ingest.answers = ["422", "422", "400"]
    made = [next(parcels(1)), next(parcels(1, is_faulty=True)), next(parcels(1))]
    async with loop_against(ingest) as (loop, tally):
        await loop.run(iter(made), every_seconds=0.01, seconds=0.03, on_tick=lambda _: None)
    assert (tally.offered, tally.refused, tally.refused_on_purpose) == (2, 2, 1)
    assert tally.problems == {"invalid-event": 2, "malformed-json": 1}
    assert tally.share_taken == 0


async def test_what_nobody_answers_in_the_end_is_not_taken(ingest: ScriptedIngest) -> None:
    ingest.answers, ingest.always = ["202", "503:0"], "hang"
    async with loop_against(ingest) as (loop, tally):
        await loop.run(parcels(3), every_seconds=0.01, seconds=0.03, on_tick=lambda _: None, drain_seconds=0.1)
    assert (tally.offered, tally.taken, tally.unanswered, tally.held_back) == (3, 1, 2, 1)


async def test_a_server_that_stalls_is_not_spared() -> None:
    """While nothing is answered requests go on being due; each waits from its own instant on."""
    due, everything_due = 40, asyncio.Event()
    answer = b"HTTP/1.1 202 X\r\ncontent-length: 2\r\n\r\n{}"

    async def stalled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await everything_due.wait()
        while await reader.read(65_536):
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(stalled, "127.0.0.1", 0)
    tally = Tally()
    loop = OpenLoop(Target.of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", SECRET), 1, tally)
    await loop.open()

    def look(_passed: float) -> None:
        if tally.offered == due:
            everything_due.set()

    await loop.run(parcels(due), every_seconds=0.005, seconds=due * 0.005, on_tick=look)
    loop.close()
    server.close()
    assert tally.taken == due
    # The one connection was busy with the first; all the same the others waited, the first of them longest.
    assert tally.waits[0] > (due - 1) * 0.005
    assert tally.waits[0] > tally.waits[due // 2] > tally.waits[-1]


async def test_where_nobody_listens_one_is_told() -> None:
    loop = OpenLoop(Target.of(f"http://127.0.0.1:{free_port()}", SECRET), 1, Tally())
    with pytest.raises(Unreachable, match="cannot be reached"):
        await loop.open()


def test_a_run_with_too_few_taken_is_no_good_one() -> None:
    good, bad = Tally(offered=1_000, taken=990), Tally(offered=1_000, taken=989)
    assert [Run(1, 1, tally, 0.1, 0.0).is_good for tally in (good, bad)] == [True, False]
    assert as_document(Run(1, 1, bad, 0.1, 0.0))["passed"] is False
    assert as_text(Run(1, 1, bad, 0.1, 0.0)) is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--division", "530100"], "real people"),
        (["--division", "9"], "2 to 12 digits"),
        (["--mix", "batch:501"], "from 1 to 500"),
        (["--mix", "all"], "batch:N"),
        ([], "no local run"),
        (["--url", "nowhere", "--key", SECRET], "the address of ingest"),
        (["--url", f"http://127.0.0.1:{free_port()}", "--key", SECRET], "cannot be reached"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_is_sent(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    ended = CliRunner().invoke(cli, ["load-test", *arguments])
    assert ended.exit_code in (1, 2)
    assert said in ended.output
    assert "do-not-tell" not in ended.output
