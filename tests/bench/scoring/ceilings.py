"""The ceilings of the scorer: its rows told by the driver alone; what two processes can bring at all."""

import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.scoring.rates import Then, run_scorers
from tests.bench.scoring.replaying import ADVANCE, Replayed
from tests.bench.scoring.world import World

MOST_SECONDS = 1800.0
BUSY_SECONDS = 4.0


async def recording_of(bench: Bench, world: World) -> Path:
    """What one real scorer tells the database while it empties the world's log; made once a run."""
    return await bench.kept(("recording", world.template, world.topic_prefix), lambda: _record(bench, world))


async def _record(bench: Bench, world: World) -> Path:
    bench.progress.step("recording what the scorer writes")
    path = (await bench.platform()).scratch / f"{world.topic_prefix}recording"
    await run_scorers(bench, world, argv=recorder_argv(path, ADVANCE))
    return path


def recorder_argv(path: Path, holding: str) -> Sequence[str]:
    """The scorer, recorded: see record_scorer.py."""
    return [sys.executable, "-m", "tests.bench.scoring.record_scorer", str(path), holding]


async def replay(
    bench: Bench, world: World, recording: Path, *, reads: bool = False, then: Then | None = None
) -> Replayed:
    """Tell a recording to a fresh copy of the world's database.

    reads: also the statements that only read. then: told the database's name when all is told.
    """
    platform = await bench.platform()
    answer = platform.scratch / "replayed"
    argv = [sys.executable, "-m", "tests.bench.scoring.replay_recording", str(recording), str(answer)]
    async with (
        world.place(platform) as place,
        platform.command("replay", [*argv, *(["--reads"] if reads else [])], place) as teller,
    ):
        await teller.wait_end(MOST_SECONDS)
        if then is not None:
            await then(place.database)
    return Replayed(**json.loads(answer.read_text(encoding="utf-8")))


async def busy_speedup(bench: Bench) -> float:
    """How much faster two processes decode than one, with nothing between them but the cores."""
    return await _busy(bench, 2) / await _busy(bench, 1)


async def _busy(bench: Bench, processes: int) -> float:
    """Records a second that so many processes decode, all together."""
    platform = await bench.platform()
    answers = [platform.scratch / f"busy-{number}" for number in range(processes)]
    async with AsyncExitStack() as stack:
        argv = [sys.executable, "-m", "tests.bench.scoring.keep_busy", str(BUSY_SECONDS)]
        running = [
            await stack.enter_async_context(platform.command(answer.name, [*argv, str(answer)])) for answer in answers
        ]
        for one in running:
            await one.wait_end(MOST_SECONDS)
    return sum(float(answer.read_text(encoding="utf-8")) for answer in answers)
