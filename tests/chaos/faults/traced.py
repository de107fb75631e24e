"""What the database does to the disk, seen and spoilt through strace (F73, F74)."""

import asyncio
import re
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from deploy.local.children import descendants
from tests.chaos.base import Effect
from tests.chaos.faults.promises import must
from tests.chaos.faults.watch import comes_true, happens
from tests.chaos.world import World

WATCHED_SECONDS = 5.0
PANIC_WITHIN_SECONDS = 10.0
_LINE = re.compile(r"^(\d+)\s+(\d+\.\d+)\s+(.*)$")


def needs_strace() -> str | None:
    """Why syscalls cannot be traced here; None if they can."""
    return None if shutil.which("strace") else "strace is not installed"


@asynccontextmanager
async def traced(world: World, output: Path, *options: str) -> AsyncIterator[None]:
    """Trace every process of the database server while the block lasts."""
    pids = [part for pid in descendants(world.postgres.pid) for part in ("-p", str(pid))]
    tracer = await asyncio.create_subprocess_exec(
        "strace", "-f", "-ttt", "-s", "40", "-o", str(output), *options, *pids, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        if tracer.returncode is None:
            tracer.send_signal(signal.SIGINT)
        await tracer.wait()


async def synced_before_answered(world: World, rng: Random) -> Effect:
    """F73: each commit that moves a position was forced to disk between its COMMIT and the answer.

    That is what PostgreSQL promises. Kafka promises less: a 202 rests on two of three brokers' memory, not on a disk.
    """
    output = world.directory / f"trace-{world.run}"
    began = datetime.now(UTC)
    async with traced(world, output, "-e", "trace=fdatasync,recvfrom,sendto"):
        await asyncio.sleep(WATCHED_SECONDS)
        ended = datetime.now(UTC)
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    output.unlink()
    commits, synced = _commits(lines)
    rows = await world.sql(
        "SELECT count(*) AS moved FROM chaos_position_log WHERE written_at BETWEEN :began AND :ended",
        began=began,
        ended=ended,
    )
    settings = await world.sql(
        "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit"
    )
    must((settings[0].fsync, settings[0].commit) == ("on", "on"), "the database does not force its commits to disk")
    # Attaching takes a moment, so the first commits of the span were not seen.
    must(2 * synced >= rows[0].moved, f"{rows[0].moved} positions moved, but only {synced} commits were synced first")
    return Effect(f"{synced} of {commits} commits synced before their answer; {rows[0].moved} moved a position", synced)


def _commits(lines: Sequence[str]) -> tuple[int, int]:
    """Count the COMMITs that were answered, and those between which and their answer a sync ended in any process."""
    asked: dict[str, float] = {}
    syncs: list[float] = []
    answered = synced = 0
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            continue
        pid, at, call = found[1], float(found[2]), found[3]
        if "fdatasync" in call and call.endswith("= 0"):
            syncs.append(at)
        elif "recvfrom" in call and "COMMIT;" in call:
            asked[pid] = at
        elif "sendto" in call and pid in asked:
            begin = asked.pop(pid)
            answered += 1
            synced += any(begin <= sync <= at for sync in reversed(syncs))
    return answered, synced


async def sync_fails(world: World, rng: Random) -> Effect:
    """F74: the disk answers EIO when a commit is forced to it; the server must give up and replay, not try again."""
    mark = world.postgres.log_mark()
    output = world.directory / f"trace-{world.run}"

    def gave_up() -> bool:
        return "PANIC" in world.postgres.log_text(mark)

    async with traced(world, output, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1"):
        died = await happens(gave_up, PANIC_WITHIN_SECONDS)
    output.unlink(missing_ok=True)
    must(died, "the server went on although its log could not be forced to disk")
    await comes_true(lambda: _recovered(world), 30)
    text = world.postgres.log_text(mark)
    return Effect("the server gave up at once and replayed its log", text.count("PANIC"))


async def _recovered(world: World) -> bool:
    try:
        await world.postgres.wait_ready(1)
    except TimeoutError:
        return False
    return True
