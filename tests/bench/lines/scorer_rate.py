"""How many events a second the scorer applies, and what a second process brings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.bench.bench import Bench
from tests.bench.line import Goal, Line, Rounds
from tests.bench.load.households import Load
from tests.bench.measurement import Measurement
from tests.bench.processes import ProgramFailed
from tests.bench.scoring.ceilings import busy_speedup, recording_of, replay
from tests.bench.scoring.rates import RunFailed, ScorerRun, run_scorers
from tests.bench.scoring.replaying import Replayed
from tests.bench.scoring.world import World, busy_world

EVENTS, QUICK_EVENTS = 400_000, 150_000
HOUSEHOLDS, QUICK_HOUSEHOLDS = 1_000_000, 200_000

RATE = Line(
    "scorer.events_per_second", "events/s",
    "one `shouwang-scorer serve` empties a log of 400,000 events (quick: 150,000) about 1,000,000 enrolled households"
    " (quick: 200,000), from first fetch to last commit; ceiling: the rows that it wrote, by the same statements with"
    " the same values from memory, as many transactions side by side: no Kafka, no reading, no decoding, no folding",
    quick=True, goal=Goal(ratio=0.7, least=10_000),
)  # fmt: skip
MEMORY = Line(
    "scorer.memory_mb", "MB", "most resident memory of that process, 1,000,000 households being enrolled",
    goal=Goal(most=350), less_is_better=True,
)  # fmt: skip
CPU = Line(
    "scorer.cpu_us.all", "us",
    "processor time of that process for each event, with its relay, its health page and its reconciler; ceiling: of"
    " the process that tells the database the same rows",
    less_is_better=True,
)  # fmt: skip
SPEEDUP = Line(
    "scorer.two_processes_speedup", "x",
    "rate with two processes divided by the rate with one, on the cores that Kafka and PostgreSQL use too; ceiling:"
    " the same for two processes that only decode records, with nothing else to do on the machine",
    quick=True,
)  # fmt: skip
CPU_TWO = Line(
    "scorer.cpu_us_two_over_one", "x",
    "processor time for each event of two processes divided by that of one; ceiling: 1, two cost no more than one",
    quick=True, goal=Goal(most=1.15), less_is_better=True,
)  # fmt: skip


async def province(bench: Bench) -> World:
    """The world of these lines."""
    households = bench.scaled(HOUSEHOLDS, quick=QUICK_HOUSEHOLDS, least=200)
    return await busy_world(bench, Load(households, bench.scaled(EVENTS, quick=QUICK_EVENTS)))


async def rates(bench: Bench) -> Mapping[Line, Rounds | Exception]:
    """In each round: one scorer, the database alone, two scorers, decoding alone."""
    full = await province(bench)
    recording = await recording_of(bench, full)
    rounds, failure = _Rounds(full.events), None
    for number in range(1, bench.rounds + 1):
        bench.progress.step(f"round {number} of {bench.rounds}")
        rounds.one.append(await run_scorers(bench, full))
        bench.progress.step(f"round {number} of {bench.rounds}, ceiling")
        rounds.bare.append(await replay(bench, full, recording))
        if failure is not None or not bench.wants(SPEEDUP, CPU_TWO):
            continue
        try:
            bench.progress.step(f"round {number} of {bench.rounds}, two processes")
            rounds.two.append(await run_scorers(bench, full, 2))
            rounds.busy.append(await busy_speedup(bench))
        except (RunFailed, ProgramFailed, TimeoutError) as error:
            failure = error
    return rounds.of_one() | (rounds.of_two() if failure is None else {SPEEDUP: failure, CPU_TWO: failure})


@dataclass(slots=True)
class _Rounds:
    """What the rounds brought."""

    events: int
    one: list[ScorerRun] = field(default_factory=list)
    two: list[ScorerRun] = field(default_factory=list)
    bare: list[Replayed] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def of_one(self) -> dict[Line, Rounds | Exception]:
        return {
            RATE: Rounds([one.events_per_second for one in self.one], [self.events / one.seconds for one in self.bare]),
            MEMORY: Rounds([one.peak_memory_mb for one in self.one]),
            CPU: Rounds([one.cpu_us for one in self.one], [one.cpu_seconds / self.events * 1e6 for one in self.bare]),
        }

    def of_two(self) -> dict[Line, Rounds | Exception]:
        pairs = list(zip(self.one, self.two, strict=False))
        speedups = [two.events_per_second / one.events_per_second for one, two in pairs]
        rates = [f"{two.events_per_second:,.0f} against {one.events_per_second:,.0f}" for one, two in pairs]
        return {
            SPEEDUP: Rounds(speedups, self.busy, f"events/s: {'; '.join(rates)}"),
            CPU_TWO: Rounds([two.cpu_us / one.cpu_us for one, two in pairs], [1.0] * len(pairs)),
        }


MEASUREMENTS = [Measurement([RATE, CPU, MEMORY, SPEEDUP, CPU_TWO], rates)]
