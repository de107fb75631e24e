"""The ceiling of the scorer: the rows that it wrote, told to a fresh copy of its database by the driver alone."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.processes import Program
from tests.bench.scoring.rates import Then, run_scorers
from tests.bench.scoring.replaying import ADVANCE, Replayed
from tests.bench.scoring.world import World

LOAD_SECONDS = 300.0
TELL_SECONDS = 1200.0
LOOK_EVERY_SECONDS = 0.005


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
    bench: Bench,
    world: World,
    recording: Path,
    splits: Sequence[Sequence[int]] = ((),),
    *,
    reads: bool = False,
    then: Then | None = None,
) -> Replayed:
    """Tell a recording to a fresh copy of the world's database.

    splits: one process for each, which tells the batches of these partitions (none = all). reads: also the statements
    that only read. then: told the database's name when all is told. Returns what all of them together took and cost.
    """
    platform = await bench.platform()
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(world.place(platform))
        tellers = []
        for number, partitions in enumerate(splits):
            teller = _Teller(platform.scratch / f"answer-{number}")
            argv = teller.argv(recording, partitions, reads)
            teller.program = await stack.enter_async_context(platform.command(f"replay-{number}", argv, place))
            tellers.append(teller)
        for teller in tellers:
            await teller.until_ready()
        for teller in tellers:
            teller.go()
        told = [await teller.answer() for teller in tellers]
        if then is not None:
            await then(place.database)
    return Replayed(
        min(one.began for one in told), max(one.ended for one in told), sum(one.cpu_seconds for one in told)
    )


class _Teller:
    """One process that tells a recording again; see replay_recording.py."""

    program: Program

    def __init__(self, answer: Path) -> None:
        self._answer = answer
        self._ready, self._go = answer.with_suffix(".ready"), answer.with_suffix(".go")
        for file in (self._answer, self._ready, self._go):
            file.unlink(missing_ok=True)

    def argv(self, recording: Path, partitions: Sequence[int], reads: bool) -> Sequence[str]:
        argv = [sys.executable, "-m", "tests.bench.scoring.replay_recording", str(recording), str(self._answer)]
        chosen = ["--partitions", ",".join(map(str, partitions))] if partitions else []
        return [*argv, *chosen, *(["--reads"] if reads else [])]

    async def until_ready(self) -> None:
        async with asyncio.timeout(LOAD_SECONDS):
            while not self._ready.exists():
                self.program.check()
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    def go(self) -> None:
        self._go.touch()

    async def answer(self) -> Replayed:
        await self.program.wait_end(TELL_SECONDS)
        return Replayed(**json.loads(self._answer.read_text(encoding="utf-8")))
