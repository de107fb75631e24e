"""Whether the scorer stays as fast when the house grows: ten times the households, a ledger of years."""

from collections.abc import Mapping
from dataclasses import replace

from tests.bench.bench import Bench
from tests.bench.line import Goal, Line, Rounds
from tests.bench.load.households import Load
from tests.bench.measurement import Measurement
from tests.bench.scoring.ledger import lengthen
from tests.bench.scoring.rates import run_scorers
from tests.bench.scoring.world import World, busy_world

EVENTS, QUICK_EVENTS = 200_000, 60_000
FEW, QUICK_FEW = 100_000, 20_000
MANY, QUICK_MANY = 1_000_000, 200_000
LONG_LEDGER = 10_000_000

HOUSEHOLDS = Line(
    "scorer.growth_100k_to_1m", "x",
    "rate at 1,000,000 households divided by the rate at 100,000 (quick: 200,000 and 20,000), the same 200,000 events"
    " about 100,000 of them in both (quick: 60,000, 20,000); ceiling: 1, as fast",
    quick=True, goal=Goal(least=0.8),
)  # fmt: skip
LEDGER = Line(
    "scorer.growth_ledger_10m", "x",
    "rate with 10,000,000 more rows in the ledger divided by the rate without, 100,000 households; ceiling: 1, as fast",
    goal=Goal(least=0.8),
)  # fmt: skip


async def more_households(bench: Bench) -> Mapping[Line, Rounds]:
    """Few households and many in turn."""
    few = await _world(bench, FEW, QUICK_FEW)
    return {HOUSEHOLDS: await _quotients(bench, await _world(bench, MANY, QUICK_MANY), few)}


async def longer_ledger(bench: Bench) -> Mapping[Line, Rounds]:
    """A short ledger and a long one in turn."""
    short = await _world(bench, FEW, QUICK_FEW)
    platform = await bench.platform()
    bench.progress.step("lengthening the ledger")
    async with platform.databases.copy_of(short.template) as name:
        await lengthen(platform.databases, name, bench.scaled(LONG_LEDGER))
        return {LEDGER: await _quotients(bench, replace(short, template=name), short)}


async def _world(bench: Bench, households: int, quick: int) -> World:
    among = bench.scaled(FEW, quick=QUICK_FEW, least=200)
    load = Load(bench.scaled(households, quick=quick, least=200), bench.scaled(EVENTS, quick=QUICK_EVENTS), among)
    return await busy_world(bench, load)


async def _quotients(bench: Bench, large: World, small: World) -> Rounds:
    quotients, rates = [], []
    for number in range(1, bench.rounds + 1):
        bench.progress.step(f"round {number} of {bench.rounds}, small")
        before = (await run_scorers(bench, small)).events_per_second
        bench.progress.step(f"round {number} of {bench.rounds}, large")
        after = (await run_scorers(bench, large)).events_per_second
        quotients.append(after / before)
        rates.append(f"{after:,.0f} against {before:,.0f}")
    remark = f"events/s: {'; '.join(rates)}"
    return Rounds(quotients, [1.0] * len(quotients), remark)


MEASUREMENTS = [Measurement([HOUSEHOLDS], more_households), Measurement([LEDGER], longer_ledger)]
