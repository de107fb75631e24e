"""How fast a night is judged, and how fast everything is folded anew after a release."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from shared.clock import SystemClock, day_of
from tests.bench.bench import Bench
from tests.bench.line import Goal, Line, Rounds
from tests.bench.load.histories import due_on, ten_events
from tests.bench.load.households import Load
from tests.bench.measurement import Measurement
from tests.bench.scoring.ceilings import recorder_argv, replay
from tests.bench.scoring.idle_work import OLD_FORMAT, REFOLDED, TICKED, judge_due, rebuild_all
from tests.bench.scoring.world import World, quiet_world

DUE_HOUSEHOLDS = 100_000
REBUILT_HOUSEHOLDS = 50_000

DUE = Line(
    "scorer.due_households_per_second", "households/s",
    "one `shouwang-scorer serve` judges 100,000 households that are due in one night, nothing being left to read;"
    " ceiling: the rows that it wrote, by the same statements from memory",
    goal=Goal(least=5_000),
)  # fmt: skip
REBUILD = Line(
    "scorer.rebuild_households_per_second", "households/s",
    "`shouwang-scorer rebuild --all` with one scorer running, 50,000 households of ten events each, stored in another"
    " release's format; ceiling: the same statements, reads too, by the driver alone",
    goal=Goal(least=10_000),
)  # fmt: skip

Work = Callable[[Bench, World, Sequence[str] | None], Awaitable[float]]


async def night(bench: Bench) -> Mapping[Line, Rounds]:
    """Judge what is due today."""
    households, today = bench.scaled(DUE_HOUSEHOLDS, least=200), day_of(SystemClock().now())
    world = await quiet_world(bench, households, lambda number: due_on(number, today))
    return {DUE: await _measured(bench, world, households, judge_due, TICKED, reads=False)}


async def release(bench: Bench) -> Mapping[Line, Rounds]:
    """Fold everything anew."""
    households = bench.scaled(REBUILT_HOUSEHOLDS, least=200)
    load = Load(households, 0)
    world = await quiet_world(bench, households, lambda number: ten_events(number, load))
    platform = await bench.platform()
    async with platform.databases.connection(world.template) as connection:
        await connection.execute("UPDATE household_state SET body = $1", OLD_FORMAT)
        await connection.execute("VACUUM (FREEZE, ANALYZE) household_state")
    return {REBUILD: await _measured(bench, world, households, rebuild_all, REFOLDED, reads=True)}


async def _measured(bench: Bench, world: World, households: int, work: Work, holding: str, *, reads: bool) -> Rounds:
    bench.progress.step("recording what the scorer writes")
    recording: Path = (await bench.platform()).scratch / f"{world.topic_prefix}recording"
    await work(bench, world, recorder_argv(recording, holding))

    async def ours() -> float:
        return households / await work(bench, world, None)

    async def ceiling() -> float:
        return households / (await replay(bench, world, recording, reads=reads)).seconds

    return await bench.alternate(ours, ceiling)


MEASUREMENTS = [Measurement([DUE], night), Measurement([REBUILD], release)]
