"""How many events one ingest process takes, and how long it takes for one at an ordinary rate."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.ingest.load.households import households
from services.ingest.load.mix import Mix
from services.ingest.load.open_loop import OpenLoop
from services.ingest.load.tally import Tally, percentiles_ms
from services.ingest.load.target import Target
from tests.bench.bench import Bench
from tests.bench.edge.callers import Callers, Taken
from tests.bench.edge.keys import make_key
from tests.bench.edge.requests import BATCH, Sendable, in_batches, sendable
from tests.bench.line import Goal, Line, Rounds
from tests.bench.load.households import Load
from tests.bench.measurement import Measurement
from tests.bench.platform import BenchPlatform, Place
from tests.bench.processes import Program

HOUSEHOLDS, EVENTS = 100_000, 20_000
CONNECTIONS, BATCHES_AT_ONCE = 48, 4
WARM_UP_SECONDS = 2.0
RATE = 300

SINGLE = Line(
    "ingest.single_per_second", "events/s",
    "one `shouwang-ingest serve`, one event a request, 48 connections that each send the next when one is answered;"
    " ceiling: a FastAPI route that puts the raw body on the log by the same producer and answers",
    quick=True, goal=Goal(ratio=0.8),
)  # fmt: skip
NDJSON = Line(
    "ingest.ndjson_events_per_second", "events/s",
    "the same process, 500 events a request as lines, 4 requests at once; ceiling: the producer alone in a process,"
    " sending the stored records, 4 times 500 at once",
    quick=True, goal=Goal(ratio=0.5, least=10_000),
)  # fmt: skip
P50 = Line(
    "ingest.post_to_202_p50_ms", "ms",
    "half of the answers came within this; 300 requests a second by a timetable, waits counted from the intended"
    " instant; ceiling: the same sent to that FastAPI route",
    quick=True, less_is_better=True,
)  # fmt: skip
P99 = Line(
    "ingest.post_to_202_p99_ms", "ms", "of a hundred answers, all but one came within this; the same requests",
    quick=True, goal=Goal(most=50), less_is_better=True,
)  # fmt: skip
MEMORY = Line(
    "ingest.memory_mb", "MB", "most resident memory of that process by the end of all this",
    goal=Goal(most=150), less_is_better=True,
)  # fmt: skip


@dataclass(slots=True)
class _Round:
    """One round's figures, by line; ours and the ceiling's. What follows these is for the remark."""

    ours: dict[Line, float] = field(default_factory=dict)
    ceilings: dict[Line, float] = field(default_factory=dict)
    asgi_per_second: float = 0.0
    callers_share: float = 0.0
    cpu_us: float = 0.0


async def rates(bench: Bench) -> Mapping[Line, Rounds]:
    """In each round: ingest, then each ceiling, on topics of the round's own."""
    platform = await bench.platform()
    sent = sendable(Load(HOUSEHOLDS, bench.scaled(EVENTS, least=2 * BATCH)))
    rounds = []
    for number in range(1, bench.rounds + 1):
        bench.progress.step(f"round {number} of {bench.rounds}")
        async with platform.place() as place:
            one = _Round()
            await _ours(bench, platform, place, sent, one)
            bench.progress.step(f"round {number} of {bench.rounds}, ceilings")
            await _ceilings(bench, platform, place, sent, one)
        rounds.append(one)
    return {line: _rounds(line, rounds) for line in (SINGLE, NDJSON, P50, P99, MEMORY)}


async def _ours(bench: Bench, platform: BenchPlatform, place: Place, sent: Sendable, one: _Round) -> None:
    key = await make_key(place)
    async with platform.service("ingest", place) as ingest:
        await ingest.wait_ready()
        target = Target.of(ingest.base_url, key)
        used = ingest.cpu_seconds()
        taken = await _single(bench, target, sent)
        one.cpu_us = (ingest.cpu_seconds() - used) / (taken.requests * _counted(bench)) * 1e6
        one.ours[SINGLE], one.callers_share = taken.per_second, taken.own_share
        batches = [target.request(batch, is_batch=True) for batch in in_batches(sent.bodies)]
        one.ours[NDJSON] = (await _callers(bench, target, batches, BATCHES_AT_ONCE)).per_second * BATCH
        one.ours[P50], one.ours[P99] = await _waits(bench, target)
        one.ours[MEMORY] = ingest.peak_memory_mb()


async def _ceilings(bench: Bench, platform: BenchPlatform, place: Place, sent: Sendable, one: _Round) -> None:
    async with _ceiling(platform, place, "fastapi") as app:
        target = Target.of(app.base_url, "none")
        one.ceilings[SINGLE] = (await _single(bench, target, sent)).per_second
        one.ceilings[P50], one.ceilings[P99] = await _waits(bench, target)
    async with _ceiling(platform, place, "asgi") as app:
        one.asgi_per_second = (await _single(bench, Target.of(app.base_url, "none"), sent)).per_second
    one.ceilings[NDJSON] = await _bare_producer(bench, platform, place, sent)


@asynccontextmanager
async def _ceiling(platform: BenchPlatform, place: Place, kind: str) -> AsyncIterator[Program]:
    argv = [sys.executable, "-m", "tests.bench.edge.ceiling_app", kind]
    async with platform.service("ingest", place, name=f"ceiling-{kind}", argv=argv) as app:
        await app.wait_ready()
        yield app


async def _single(bench: Bench, target: Target, sent: Sendable) -> Taken:
    requests = [target.request([body], is_batch=False) for body in sent.bodies]
    return await _callers(bench, target, requests, CONNECTIONS)


async def _callers(bench: Bench, target: Target, requests: list[bytes], connections: int) -> Taken:
    return await Callers(target, requests, connections).run(
        warm_up_seconds=WARM_UP_SECONDS, seconds=bench.scaled(10, quick=6)
    )


def _counted(bench: Bench) -> float:
    """Requests of a run with its warm-up, for one that is counted."""
    seconds = bench.scaled(10, quick=6)
    return (seconds + WARM_UP_SECONDS) / seconds


async def _waits(bench: Bench, target: Target) -> tuple[float, float]:
    """p50 and p99 in milliseconds at the ordinary rate."""
    events = Mix(households(1_000, "990101"), f"bench-{target.port}", lambda: datetime.now(UTC))
    tally = Tally()
    loop = OpenLoop(target, CONNECTIONS, tally)
    await loop.open()
    seconds = bench.scaled(40, quick=20)
    await loop.run(events.one_by_one(), every_seconds=1 / RATE, seconds=seconds, on_tick=lambda _: None)
    loop.close()
    if tally.share_taken < 1:
        raise RuntimeError(f"of {tally.offered} events {tally.taken} were taken: {tally.statuses}")
    found = percentiles_ms(tally.waits)
    return found["p50"], found["p99"]


async def _bare_producer(bench: Bench, platform: BenchPlatform, place: Place, sent: Sendable) -> float:
    records, answer = platform.scratch / "records", platform.scratch / "producer-answer"
    records.write_bytes(b"\n".join(b"%s\t%s" % pair for pair in zip(sent.keys, sent.records, strict=True)))
    seconds = bench.scaled(10, quick=6)
    argv = [sys.executable, "-m", "tests.bench.edge.bare_producer", str(records), str(answer)]
    argv += [str(seconds), str(BATCHES_AT_ONCE), str(BATCH)]
    async with platform.command("bare-producer", argv, place) as producer:
        await producer.wait_end(seconds + 60)
    return float(answer.read_text(encoding="utf-8"))


def _rounds(line: Line, rounds: list[_Round]) -> Rounds:
    remark = ""
    if line is SINGLE:
        beside = ", ".join(f"{one.asgi_per_second:,.0f}" for one in rounds)
        shares = ", ".join(f"{one.callers_share:.0%}" for one in rounds)
        costs = ", ".join(f"{one.cpu_us:.0f}" for one in rounds)
        remark = f"a bare ASGI app: {beside}; processor time of ingest, us a request: {costs}; callers' share: {shares}"
    return Rounds(
        [one.ours[line] for one in rounds], [one.ceilings[line] for one in rounds if line in one.ceilings], remark
    )


MEASUREMENTS = [Measurement([SINGLE, NDJSON, P50, P99, MEMORY], rates)]
