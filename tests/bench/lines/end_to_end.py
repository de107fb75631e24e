"""The whole machine: events over HTTP to durable grades, and from a grave event to the receipt of its message."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import repeat
from statistics import median

from services.ingest.load.households import Household
from services.ingest.load.open_loop import OpenLoop
from services.ingest.load.parcels import Parcel
from services.ingest.load.tally import percentiles_ms
from tests.bench.bench import Bench
from tests.bench.house.graded import GradedTally, GradeWatch
from tests.bench.house.machine import Machine, enrolled_place, receiving, tell_everything, whole_machine
from tests.bench.house.people import cadres
from tests.bench.house.receiver import read_journal
from tests.bench.house.streams import WithGraveOnes, enrolled, shuffled, usual, villages
from tests.bench.line import Goal, Line, Rounds
from tests.bench.measurement import Measurement
from tests.bench.processes import machine_cpu_seconds

HOUSEHOLDS, QUICK_HOUSEHOLDS = 20_000, 5_000
CONNECTIONS = 64
STEP_SECONDS, QUICK_STEP_SECONDS = 15, 6
GRADE_P99_MS = 2_000
# A rate is steady if no more than this is left to do when the last event has been sent.
BEHIND_SECONDS = 1.0
FIRST_RATE, GROWTH, FINEST = 500.0, 1.5, 1.1
SLOWEST_RATE = 20.0
WARM_UP_SECONDS = 3
RECEIPT_RATE, GRAVE_EVERY = 500, 100
SETTLE_SECONDS = 120.0
JOURNAL_SECONDS = 60.0

RATE = Line(
    "end_to_end.events_per_second", "events/s",
    "highest steady rate at which one process of each service, Kafka and PostgreSQL on this machine take events over"
    " HTTP, as departments send them (NDJSON, 100 a request), and grade them durably, p99 below 2 s from the instant at"
    " which each was to be sent, all graded within 1 s of the last; steps of 15 s (quick: 6), each half as fast again,"
    " then between the last good and the first bad one; ceiling: all cores divided by the processor time that all"
    " processes on the machine took for an event at that rate, sender included",
    quick=True, goal=Goal(least=3_000),
)  # fmt: skip
SINGLE_RATE = Line(
    "end_to_end.single_events_per_second", "events/s", "the same as field apps send them, one event a request",
)  # fmt: skip
BATCHES = {RATE: 100, SINGLE_RATE: 1}
RECEIPT_P50 = Line(
    "end_to_end.receipt_p50_ms", "ms",
    "from the instant at which a grave event was to be sent to the receiver's journal, for half of them; 500 events a"
    " second in the usual mix, one in a hundred a grave illness of a household that was well, a cadre for each village,"
    " by a policy that tells everything at once; ceiling: the grave events alone, before the others begin",
    quick=True, less_is_better=True,
)  # fmt: skip
RECEIPT_P99 = Line(
    "end_to_end.receipt_p99_ms", "ms", "the same for all but one in a hundred", quick=True,
    goal=Goal(most=2_000), less_is_better=True,
)  # fmt: skip


class NotSteady(RuntimeError):
    """The machine did not do at any rate what this line measures."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a load.

    began_at: POSIX seconds of the timetable's beginning. graded_after: seconds from its end until all was graded; None
    where that did not come.
    """

    tally: GradedTally
    began_at: float
    graded_after: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """One steady rate. is_good: everything was taken and graded in time.

    shares: of one processor, by process. machine_cpu_seconds: of everything on the machine, for each second of sending.
    """

    rate: float
    is_good: bool
    grade_p99_ms: float
    shares: Mapping[str, float]
    machine_cpu_seconds: float

    @property
    def ceiling(self) -> float:
        """The rate at which all cores would be busy."""
        return self.rate * (os.cpu_count() or 1) / max(self.machine_cpu_seconds, 0.01)


@dataclass(frozen=True, slots=True)
class Receipts:
    """Milliseconds to the receipts of grave events, as percentiles: among others, and alone."""

    waits: Mapping[str, float]
    alone: Mapping[str, float]
    remark: str


@asynccontextmanager
async def machine(bench: Bench, name: str) -> AsyncIterator[Machine]:
    """The whole machine with households as the register has sent them, and a cadre in each of their villages."""
    count = households(bench)
    places = villages(count)
    settings = await tell_everything(await bench.platform())
    async with (
        receiving(bench, name) as receiver,
        enrolled_place(bench, count) as place,
        whole_machine(bench, place, receiver, places, cadres(places, receiver.base_url), settings) as running,
    ):
        yield running


def households(bench: Bench) -> int:
    """How many are enrolled."""
    return bench.scaled(HOUSEHOLDS, quick=QUICK_HOUSEHOLDS, least=1_000)


async def rates(bench: Bench) -> Mapping[Line, Rounds]:
    """The rates for batches and for single events, as far as they are asked for."""
    return {line: await _rate(bench, batch) for line, batch in BATCHES.items() if bench.wants(line)}


async def _rate(bench: Bench, batch: int) -> Rounds:
    """In each round a fresh machine, and steps until one is too fast for it."""
    found = []
    for number in range(1, bench.rounds + 1):
        async with machine(bench, f"rates-{batch}-{number}") as running:
            found.append(await _search(bench, running, batch))
    shares = "; ".join(", ".join(f"{name} {share:.0%}" for name, share in step.shares.items()) for step in found)
    return Rounds(
        [step.rate for step in found],
        [step.ceiling for step in found],
        f"of one processor at that rate: {shares}",
    )


async def _search(bench: Bench, running: Machine, batch: int) -> Step:
    """The fastest step that is good. Raises NotSteady when not even the slowest one is."""
    bench.progress.step("warming up")
    await _step(bench, running, FIRST_RATE / 2, batch)
    good: Step | None = None
    rate, bad = FIRST_RATE, float("inf")
    while good is None or bad / good.rate > FINEST:
        bench.progress.step(f"{rate:,.0f} events/s")
        step = await _step(bench, running, rate, batch)
        if step.is_good:
            good = step
        elif rate < SLOWEST_RATE:
            raise NotSteady(f"p99 {step.grade_p99_ms:,.0f} ms to the grade at {rate:,.0f} events a second")
        else:
            bad = rate
        rate = next_rate(None if good is None else good.rate, bad)
    return good


def next_rate(good: float | None, bad: float) -> float:
    """What to try after the fastest good rate and the slowest bad one, infinite where there was none."""
    if good is None:
        return bad / GROWTH**2
    return good * GROWTH if bad == float("inf") else (good * bad) ** 0.5


async def _step(bench: Bench, running: Machine, rate: float, batch: int) -> Step:
    seconds = bench.scaled(STEP_SECONDS, quick=QUICK_STEP_SECONDS, least=3)
    run = f"{running.target.port}-{time.time_ns():x}"
    parcels = usual(enrolled(households(bench)), run, round(rate * seconds / batch) + 1, batch=batch)
    used = {kind: service.cpu_seconds() for kind, service in running.services.items()}
    own, everything = time.process_time(), machine_cpu_seconds()
    sent = await send(bench, running, iter(parcels), rate / batch, seconds)
    busy = (machine_cpu_seconds() - everything) / seconds
    shares = {kind: (service.cpu_seconds() - used[kind]) / seconds for kind, service in running.services.items()}
    shares["sender"] = (time.process_time() - own) / seconds
    if sent.graded_after is None:
        raise NotSteady(f"{sent.tally.ungraded} events had no grade {SETTLE_SECONDS:.0f} s after the last was sent")
    p99 = percentiles_ms(sent.tally.graded).get("p99", float("inf"))
    is_good = sent.tally.share_taken == 1 and p99 < GRADE_P99_MS and sent.graded_after < BEHIND_SECONDS
    return Step(rate, is_good, p99, shares, busy)


async def send(bench: Bench, running: Machine, parcels: Iterator[Parcel], rate: float, seconds: float) -> Sent:
    """Send by a timetable and watch the grades until all are there, or for two minutes more. rate: parcels a second."""
    platform = await bench.platform()
    tally = GradedTally()
    load = OpenLoop(running.target, CONNECTIONS, tally)
    await load.open()
    ended = asyncio.Event()
    async with platform.databases.connection(running.place.database) as connection:
        watch = GradeWatch(connection, running.events_topic, tally, load.now)
        watching = asyncio.create_task(watch.run(ended))
        try:
            await load.run(parcels, every_seconds=1 / rate, seconds=seconds, on_tick=lambda _: None)
            began_at = time.time() - load.now()
        finally:
            load.close()
            ended.set()
            await watching
        is_graded = await watch.until_graded(SETTLE_SECONDS)
        return Sent(tally, began_at, load.now() - seconds if is_graded else None)


async def receipts(bench: Bench) -> Mapping[Line, Rounds]:
    """In each round a fresh machine: grave events alone, then a minute of the usual mix with such events among it."""
    found = []
    for number in range(1, bench.rounds + 1):
        bench.progress.step(f"round {number} of {bench.rounds}")
        async with machine(bench, f"receipts-{number}") as running:
            found.append(await _receipts(bench, running))
    worst = f"slowest {median(one.waits['max'] for one in found):,.0f} ms"
    return {
        line: Rounds([one.waits[name] for one in found], [one.alone[name] for one in found], remark)
        for line, name, remark in (
            (RECEIPT_P50, "p50", "; ".join(one.remark for one in found)),
            (RECEIPT_P99, "p99", worst),
        )
    }


async def _receipts(bench: Bench, running: Machine) -> Receipts:
    """Raises NotSteady when some never came."""
    seconds, alone_seconds = bench.scaled(60, quick=30, least=5), bench.scaled(20, quick=10, least=4)
    a_second = RECEIPT_RATE // GRAVE_EVERY
    well, others = await _well_and_others(bench, running, a_second * (WARM_UP_SECONDS + alone_seconds + seconds))
    run, still_well = f"{running.target.port}", iter(well)
    await _waits(bench, running, _only_grave(still_well, f"{run}-first"), a_second, WARM_UP_SECONDS)
    alone = await _waits(bench, running, _only_grave(still_well, f"{run}-alone"), a_second, alone_seconds)
    ordinary = usual(others, run, RECEIPT_RATE * seconds + 1)
    among_others = WithGraveOnes(iter(ordinary), still_well, GRAVE_EVERY, run)
    own = time.process_time()
    waits = await _waits(bench, running, among_others, RECEIPT_RATE, seconds)
    share = (time.process_time() - own) / seconds
    messages = sum(1 for _ in read_journal(running.receiver.journal))
    remark = f"{len(waits)} grave events, {messages:,} messages in all, sender {share:.0%} of one processor"
    return Receipts(percentiles_ms(waits), percentiles_ms(alone), remark)


def _only_grave(well: Iterator[Household], run: str) -> WithGraveOnes:
    return WithGraveOnes(repeat(Parcel([])), well, 1, run)


async def _waits(bench: Bench, running: Machine, stream: WithGraveOnes, rate: float, seconds: float) -> list[float]:
    """Seconds to the receipt of each grave event of a stream. Raises NotSteady."""
    sent = await send(bench, running, stream.parcels(), rate, seconds)
    wanted = {household.id: parcel.intended for household, parcel in stream.told}
    named = await _until_named(running, set(wanted))
    missing = len(wanted) - len(named)
    if missing:
        raise NotSteady(f"of {len(wanted)} grave events {missing} had no receipt {JOURNAL_SECONDS:.0f} s after the end")
    return [named[household] - sent.began_at - intended for household, intended in wanted.items()]


async def _well_and_others(bench: Bench, running: Machine, count: int) -> tuple[list[Household], list[Household]]:
    """Households that are green now, spread over the villages, and all the others."""
    platform = await bench.platform()
    async with platform.databases.connection(running.place.database) as connection:
        green = {row[0] for row in await connection.fetch("SELECT household_id FROM household_state WHERE grade = 0")}
    everybody = shuffled(enrolled(households(bench)), "receipts")
    well = [household for household in everybody if household.id in green][:count]
    if len(well) < count:
        raise NotSteady(f"only {len(well)} of {count} households are green; enrol more")
    chosen = {household.id for household in well}
    return well, [household for household in everybody if household.id not in chosen]


async def _until_named(running: Machine, wanted: set[str]) -> dict[str, float]:
    """When each of these households was first named in a message, as far as that happens within a minute."""
    deadline = time.monotonic() + JOURNAL_SECONDS
    while True:
        first: dict[str, float] = {}
        for message in read_journal(running.receiver.journal):
            for household in message.households:
                if household in wanted:
                    first.setdefault(household, message.at)
        if len(first) == len(wanted) or time.monotonic() > deadline:
            return first
        await asyncio.sleep(1)


MEASUREMENTS = [Measurement([RATE, SINGLE_RATE], rates), Measurement([RECEIPT_P50, RECEIPT_P99], receipts)]
