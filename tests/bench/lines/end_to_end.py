"""The whole machine: events over HTTP to durable grades, and from a grave event to the receipt of its message."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.ingest.load.households import Household
from services.ingest.load.open_loop import OpenLoop
from services.ingest.load.parcels import Parcel
from services.ingest.load.tally import percentiles_ms
from shared.topics import HOUSEHOLD_EVENTS
from tests.bench.bench import Bench
from tests.bench.house.graded import GradedTally, GradeWatch
from tests.bench.house.machine import Machine, receiving, whole_machine
from tests.bench.house.people import cadres
from tests.bench.house.receiver import read_journal
from tests.bench.house.streams import WithGraveOnes, enrolled, shuffled, usual, villages
from tests.bench.line import Goal, Line, Rounds
from tests.bench.load.households import Load, enrolment
from tests.bench.measurement import Measurement
from tests.bench.scoring.world import stored

HOUSEHOLDS, QUICK_HOUSEHOLDS = 20_000, 5_000
CONNECTIONS = 64
STEP_SECONDS = 15
GRADE_P99_MS = 2_000
FIRST_RATE, GROWTH, FINEST = 500.0, 1.5, 1.1
RECEIPT_RATE, GRAVE_EVERY = 500, 100
SETTLE_SECONDS = 60.0
JOURNAL_SECONDS = 60.0

RATE = Line(
    "end_to_end.events_per_second", "events/s",
    "highest steady rate at which one process of each service, Kafka and PostgreSQL on this machine take single events"
    " over HTTP and grade them durably, p99 below 2 s from the instant at which each was to be sent; steps of 15 s,"
    " each half as fast again, then between the last good and the first bad one",
    quick=True,
)  # fmt: skip
RECEIPT_P50 = Line(
    "end_to_end.receipt_p50_ms", "ms",
    "from the instant at which a grave event was to be sent to the receiver's journal, for half of them; 500 events a"
    " second in the usual mix, one in a hundred a grave illness of a household that was well, a cadre for each village",
    quick=True, less_is_better=True,
)  # fmt: skip
RECEIPT_P99 = Line(
    "end_to_end.receipt_p99_ms", "ms", "the same for all but one in a hundred", quick=True,
    goal=Goal(most=2_000), less_is_better=True,
)  # fmt: skip


class NotSteady(RuntimeError):
    """The machine did not do at any rate what this line measures."""


@dataclass(frozen=True, slots=True)
class Step:
    """One steady rate. is_good: everything was taken and graded in time."""

    rate: float
    is_good: bool
    grade_p99_ms: float
    shares: Mapping[str, float]


@asynccontextmanager
async def machine(bench: Bench, name: str) -> AsyncIterator[Machine]:
    """The whole machine with households as the register has sent them, and a cadre in each of their villages."""
    platform = await bench.platform()
    count = households(bench)
    load = Load(count, 0)
    template = await bench.kept(
        ("enrolled", count), lambda: stored(bench, count, lambda number: [enrolment(number, load)])
    )
    places = villages(count)
    async with (
        receiving(bench, name) as receiver,
        platform.place(template=template) as place,
        whole_machine(bench, place, receiver, places, cadres(places, receiver.base_url)) as running,
    ):
        yield running


def households(bench: Bench) -> int:
    """How many are enrolled."""
    return bench.scaled(HOUSEHOLDS, quick=QUICK_HOUSEHOLDS, least=1_000)


async def rates(bench: Bench) -> Mapping[Line, Rounds]:
    """In each round a fresh machine, and steps until one is too fast for it."""
    found = []
    for number in range(1, bench.rounds + 1):
        async with machine(bench, f"rates-{number}") as running:
            found.append(await _search(bench, running))
    shares = "; ".join(", ".join(f"{name} {share:.0%}" for name, share in step.shares.items()) for step in found)
    return {RATE: Rounds([step.rate for step in found], remark=f"of one processor at that rate: {shares}")}


async def _search(bench: Bench, running: Machine) -> Step:
    """Raises NotSteady when not even the slowest step is good."""
    good, rate = None, FIRST_RATE
    bad = float("inf")
    for turn in range(20):
        bench.progress.step(f"{rate:,.0f} events/s")
        step = await _step(bench, running, rate, f"step-{turn}")
        if step.is_good:
            good = step
        else:
            bad = rate
        if good is None:
            raise NotSteady(f"p99 {step.grade_p99_ms:,.0f} ms to the grade at {rate:,.0f} events a second")
        if bad / good.rate <= FINEST:
            break
        rate = good.rate * GROWTH if bad == float("inf") else (good.rate * bad) ** 0.5
    return good


async def _step(bench: Bench, running: Machine, rate: float, name: str) -> Step:
    seconds = bench.scaled(STEP_SECONDS, least=3)
    parcels = usual(enrolled(households(bench)), f"{running.target.port}-{name}", round(rate * seconds) + 1)
    used = {kind: service.cpu_seconds() for kind, service in running.services.items()}
    own = time.process_time()
    tally, settled = await send(bench, running, iter(parcels), rate, seconds)
    shares = {kind: (service.cpu_seconds() - used[kind]) / seconds for kind, service in running.services.items()}
    shares["sender"] = (time.process_time() - own) / seconds
    p99 = percentiles_ms(tally.graded).get("p99", float("inf"))
    return Step(rate, settled and tally.share_taken == 1 and p99 < GRADE_P99_MS, p99, shares)


async def send(
    bench: Bench, running: Machine, parcels: Iterator[Parcel], rate: float, seconds: float
) -> tuple[GradedTally, bool]:
    """Send by a timetable and watch the grades; also whether all of them came in the end."""
    platform = await bench.platform()
    tally = GradedTally()
    load = OpenLoop(running.target, CONNECTIONS, tally)
    await load.open()
    topic = running.place.topic_prefix + HOUSEHOLD_EVENTS.name
    ended = asyncio.Event()
    async with platform.databases.connection(running.place.database) as connection:
        watch = GradeWatch(connection, topic, tally, load.now)
        watching = asyncio.create_task(watch.run(ended))
        await load.run(parcels, every_seconds=1 / rate, seconds=seconds, on_tick=lambda _: None)
        load.close()
        ended.set()
        await watching
        return tally, await watch.until_graded(SETTLE_SECONDS)


async def receipts(bench: Bench) -> Mapping[Line, Rounds]:
    """In each round a fresh machine, a minute of the usual mix, and the grave events among it."""
    waits: list[dict[str, float]] = []
    remarks = []
    for number in range(1, bench.rounds + 1):
        bench.progress.step(f"round {number} of {bench.rounds}")
        async with machine(bench, f"receipts-{number}") as running:
            found, remark = await _receipts(bench, running)
        waits.append(dict(percentiles_ms(found)))
        remarks.append(remark)
    remark = "; ".join(remarks)
    return {
        RECEIPT_P50: Rounds([one["p50"] for one in waits], remark=remark),
        RECEIPT_P99: Rounds([one["p99"] for one in waits], remark=remark),
    }


async def _receipts(bench: Bench, running: Machine) -> tuple[list[float], str]:
    """Seconds to each receipt. Raises NotSteady when some never came."""
    seconds = bench.scaled(60, quick=30, least=5)
    run = f"{running.target.port}"
    well, others = await _well_and_others(bench, running, RECEIPT_RATE * seconds // GRAVE_EVERY + 1)
    ordinary = usual(others, run, RECEIPT_RATE * seconds + 1)
    stream = WithGraveOnes(iter(ordinary), iter(well), GRAVE_EVERY, run)
    began, own = time.time(), time.process_time()
    await send(bench, running, stream.parcels(), RECEIPT_RATE, seconds)
    share = (time.process_time() - own) / seconds
    wanted = {household.id: parcel.intended for household, parcel in stream.told}
    named = await _until_named(running, set(wanted))
    missing = len(wanted) - len(named)
    if missing:
        raise NotSteady(f"of {len(wanted)} grave events {missing} had no receipt {JOURNAL_SECONDS:.0f} s after the end")
    messages = sum(1 for _ in read_journal(running.receiver.journal))
    return (
        [named[household] - began - intended for household, intended in wanted.items()],
        f"{len(wanted)} grave events, {messages} messages in all, sender {share:.0%} of one processor",
    )


async def _well_and_others(bench: Bench, running: Machine, count: int) -> tuple[list[Household], list[Household]]:
    """Households that are green now, spread over the villages, and all the others."""
    platform = await bench.platform()
    async with platform.databases.connection(running.place.database) as connection:
        green = {row[0] for row in await connection.fetch("SELECT household_id FROM household WHERE grade = 0")}
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


MEASUREMENTS = [Measurement([RATE], rates), Measurement([RECEIPT_P50, RECEIPT_P99], receipts)]
