"""Faults of the machine and of its keeping: memory, processor, files, disks, releases, settings, keys; and pairs."""

import asyncio
import contextlib
import resource
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from random import Random

from tests.chaos.base import Effect, Fault
from tests.chaos.faults.callers import status_of, wires
from tests.chaos.faults.cgroups import PERIOD_MICROSECONDS, group, needs_cgroup
from tests.chaos.faults.keys import keys_rotated
from tests.chaos.faults.promises import lasting, must
from tests.chaos.faults.releases import bad_starts, needs_older_release, releases_mixed
from tests.chaos.faults.traced import needs_strace, sync_fails, synced_before_answered
from tests.chaos.faults.watch import ClientView, happens
from tests.chaos.hooks import Planted
from tests.chaos.planted.memory import MEMORY_VARIABLE
from tests.chaos.world import World

ROOM_BYTES = 16 * 1024 * 1024
KILLED_WITHIN_SECONDS = 15.0
STARVED_SECONDS = 10.0
ONE_TENTH = PERIOD_MICROSECONDS // 10
NO_NUMBER_LEFT = 8
CALLERS = 60


async def out_of_memory(world: World, rng: Random) -> Effect:
    """F18: each kind of service grows past what it may have, and the kernel ends it."""
    killed = [name for name in ("ingest", "scorer-1", "notifier-1") if await _grow_until_killed(world, name)]
    return Effect("ended by the kernel: " + ", ".join(killed), len(killed))


async def _grow_until_killed(world: World, name: str) -> bool:
    service, switch = world.services[name], world.directory / f"memory-{world.run}-{name}"
    await service.restart(hooks=[Planted("grows_at_a_switch")], environment={MEMORY_VARIABLE: str(switch)})
    with group("memory", name) as limited:
        limited.take(service.pid)
        await service.wait_ready()
        limited.set("memory.limit_in_bytes", limited.read("memory.usage_in_bytes")[""] + ROOM_BYTES)
        deaths = len(service.deaths)
        switch.touch()
        died = await happens(lambda: len(service.deaths) > deaths, KILLED_WITHIN_SECONDS)
        switch.unlink()
        by_kernel = limited.read("memory.oom_control").get("oom_kill", 0) > 0
    await service.restart()
    await service.wait_ready()
    return died and by_kernel and service.deaths[-1][1] == -signal.SIGKILL


async def starved(world: World, rng: Random) -> Effect:
    """F19: each service gets a tenth of one core."""
    taken = ClientView(world)
    with ExitStack() as stack:
        groups = [stack.enter_context(group("cpu", name)) for name in world.services]
        for limited, service in zip(groups, world.services.values(), strict=True):
            limited.set("cpu.cfs_period_us", PERIOD_MICROSECONDS)
            limited.set("cpu.cfs_quota_us", ONE_TENTH)
            limited.take(service.pid)
        await asyncio.sleep(STARVED_SECONDS)
        throttled = sum(limited.read("cpu.stat")["nr_throttled"] for limited in groups)
    return Effect(f"throttled {throttled} times; {taken.taken} events taken, {taken.unanswered} put off", throttled)


async def without_files(world: World, rng: Random) -> Effect:
    """F20: no service may open another file; callers knock, and the database has dropped everybody."""
    before = {service.pid: resource.prlimit(service.pid, resource.RLIMIT_NOFILE) for service in world.services.values()}
    for pid, (_, hard) in before.items():
        # What is open stays open; but no number is left for another file.
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (NO_NUMBER_LEFT, hard))
    try:
        await world.sql(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name LIKE 'shouwang-%' AND pid <> pg_backend_pid()
            """
        )
        async with wires(world, CALLERS) as knocking:
            for _, writer in knocking:
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: ingest\r\n\r\n")
            answered = sum(
                status == 200 for status in await asyncio.gather(*(status_of(reader) for reader, _ in knocking))
            )
        rows = await world.sql("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'shouwang-%'")
    finally:
        for pid, limits in before.items():
            # One that has ended meanwhile was started again with limits of its own.
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    must(answered < CALLERS and not rows, f"{answered} new callers were answered, {len(rows)} sessions opened")
    left = CALLERS - answered
    return Effect(f"{left} of {CALLERS} new callers found nobody, no service could reach the database", left)


FAULTS: Sequence[Fault] = (
    Fault("F18", "each service killed for its memory", out_of_memory, needs=needs_cgroup("memory")),
    Fault("F19", "a tenth of a core for each service", starved, needs=needs_cgroup("cpu")),
    Fault("F20", "no file descriptors left", without_files),
    Fault("F73", "commits are on disk before they are answered", lasting(synced_before_answered), needs=needs_strace),
    Fault("F74", "the disk fails when a commit is forced to it", lasting(sync_fails), needs=needs_strace),
    Fault("F76", "two releases mixed, and back", releases_mixed, recovers_within=90.0, needs=needs_older_release),
    Fault("F77", "wrong settings, missing secrets, faulty policies at start", lasting(bad_starts)),
    Fault("F78", "keys and webhook secrets changed under load", lasting(keys_rotated)),
)
NOT_INJECTED: Mapping[str, str] = {
    "F75": "the client library with a queue file of its own is not built; there is no file to damage",
}
