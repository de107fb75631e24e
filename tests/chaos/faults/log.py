"""Faults of the brokers: dead, frozen, too few, slow, without room, with other settings."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from tests.chaos.base import Effect, Fault
from tests.chaos.faults.watch import ClientView, durability_impossible
from tests.chaos.platform import Broker
from tests.chaos.world import World

EVENTS = "household.events.v1"
"""The topic that ingest writes and the scorers read."""
FROZEN_SECONDS = 15
ALL_DOWN_SECONDS = 30
TWO_DOWN_SECONDS = 10
ROOM_LEFT_BYTES = 256 * 1024
"""What is left of a full disk: the broker runs out of it within the first seconds."""


async def leader_dies(world: World, rng: Random) -> Effect:
    """F21: killed, stopped in good order, and bounced; each time the broker that leads then."""
    partition = rng.randrange(12)
    led = []
    for how in ("kill", "stop", "bounce"):
        leader = await world.leader_of(EVENTS, partition)
        await _down(leader, kill=how != "stop")
        if how == "kill":
            await asyncio.sleep(4)  # longer than the controller waits for a silent broker
        leader.start()
        await leader.wait_ready()
        heir = await world.leader_of(EVENTS, partition)
        led.append((leader.node_id, heir.node_id))
    moved = sum(before != after for before, after in led)
    return Effect("the lead went " + ", ".join(f"{before} to {after}" for before, after in led), moved)


async def leader_frozen(world: World, rng: Random) -> Effect:
    """F22: the others must elect a new leader, and the old one must not answer for its partitions when it thaws."""
    view = ClientView(world)
    partition = rng.randrange(12)
    frozen = await world.leader_of(EVENTS, partition)
    frozen.pause()
    await asyncio.sleep(FROZEN_SECONDS)
    heir = await world.leader_of(EVENTS, partition)
    frozen.resume()
    await frozen.wait_ready()
    seen = f"broker {frozen.node_id} frozen, {heir.node_id} led; {view.unanswered} sends put off"
    return Effect(seen, int(heir is not frozen))


async def all_brokers_down(world: World, rng: Random) -> Effect:
    """F23."""
    view = ClientView(world)
    await asyncio.gather(*(_down(broker, kill=True) for broker in world.brokers))
    async with durability_impossible(world):
        await asyncio.sleep(ALL_DOWN_SECONDS)
    seen = f"{view.unanswered} sends put off while no broker was there"
    await _up(world.brokers)
    return Effect(seen, view.unanswered)


async def below_quorum(world: World, rng: Random) -> Effect:
    """F24: the broker that is left may acknowledge nothing alone."""
    view = ClientView(world)
    down = rng.sample(list(world.brokers), 2)
    await asyncio.gather(*(_down(broker, kill=True) for broker in down))
    async with durability_impossible(world):
        await asyncio.sleep(TWO_DOWN_SECONDS)
    seen = f"{view.unanswered} sends put off while one broker of three was there"
    await _up(down)
    return Effect(seen, view.unanswered)


async def replies_lost(world: World, rng: Random) -> Effect:
    """F25: the log has the record, ingest never hears of it."""
    links = list(world.links.kafka["ingest"].values())
    before = sum(link.count.dropped for link in links)
    view = ClientView(world)
    for _ in range(3):
        for link in links:
            link.drop_replies()
        await asyncio.sleep(2.5)
        for link in links:
            link.heal()
        await asyncio.sleep(1)
    dropped = sum(link.count.dropped for link in links) - before
    return Effect(f"{dropped} bytes of answers thrown away, {view.unanswered} sends put off", dropped)


async def slow_answers(world: World, rng: Random) -> Effect:
    """F26: slower than ingest's deadline, so that each record is on the log although its sender was told 503."""
    view = ClientView(world)
    for link in world.links.kafka["ingest"].values():
        link.delay(5.0)
    await asyncio.sleep(10)
    put_off = view.unanswered
    for link in world.links.kafka["ingest"].values():
        link.heal()
    return Effect(f"{put_off} sends put off while each answer took 5 s", put_off)


async def disk_full(world: World, rng: Random) -> Effect:
    """F34: one broker's log lies on a small disk that another file fills up."""
    broker = rng.choice(list(world.brokers))
    async with _small_disk(broker) as disk:
        mark = broker.log_mark()
        free = shutil.disk_usage(disk).free
        ballast = disk / "ballast"
        await asyncio.to_thread(_fill, ballast, free - ROOM_LEFT_BYTES)
        for _ in range(100):
            if not broker.running:
                break
            await asyncio.sleep(0.1)
        errors = broker.log_text(mark).count("No space left on device")
        await asyncio.sleep(3)
        ballast.unlink()
        seen = f"{errors} times no room, broker {broker.node_id} {'stayed' if broker.running else 'gave up'}"
    return Effect(seen, errors)


def no_small_disk() -> str | None:
    """Why this machine cannot mount a small disk; None if it can."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "mounting a small disk takes root"
    tried = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    return None if tried.returncode == 0 else "no disk may be mounted here"


async def _down(broker: Broker, *, kill: bool) -> None:
    if kill:
        await asyncio.to_thread(broker.kill)
    else:
        broker.stop()
        await broker.wait_stopped()


async def _up(brokers: Sequence[Broker]) -> None:
    for broker in brokers:
        broker.start()
    await asyncio.gather(*(broker.wait_ready() for broker in brokers))


@asynccontextmanager
async def _small_disk(broker: Broker) -> AsyncIterator[Path]:
    """Move a broker's log onto a disk with 32 MB to spare while the block lasts."""
    kept = broker.data.with_name(f"{broker.data.name}-kept")
    await _down(broker, kill=False)
    broker.data.rename(kept)
    broker.data.mkdir()
    size = int((await _run("du", "-s", "--block-size=1M", str(kept))).split()[0]) + 32
    await _run("mount", "-t", "tmpfs", "-o", f"size={size}m", "none", str(broker.data))
    try:
        await _run("cp", "-a", "--sparse=always", f"{kept}/.", str(broker.data))
        await _up([broker])
        yield broker.data
    finally:
        if broker.running:
            await _down(broker, kill=True)
        await asyncio.to_thread(shutil.rmtree, kept)
        await _run("cp", "-a", "--sparse=always", str(broker.data), str(kept))
        await _run("umount", str(broker.data))
        broker.data.rmdir()
        kept.rename(broker.data)
        await _up([broker])


async def _run(*command: str) -> str:
    made = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await made.communicate()
    if made.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with status {made.returncode}")
    return out.decode()


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        while size > 0:
            size -= file.write(bytes(min(size, 1 << 20)))


FAULTS: Sequence[Fault] = (
    Fault("F21", "the leading broker is killed, stopped and bounced", leader_dies, recovers_within=90, short=True),
    Fault("F22", f"the leading broker is frozen for {FROZEN_SECONDS} s, then thawed", leader_frozen),
    Fault(
        "F23",
        f"all three brokers are down for {ALL_DOWN_SECONDS} s",
        all_brokers_down,
        recovers_within=90,
        heard_within=60 + ALL_DOWN_SECONDS,
    ),
    Fault("F24", "two of three brokers are down: below the quorum", below_quorum, recovers_within=90, short=True),
    Fault("F25", "answers to writes are lost after the log has the records", replies_lost),
    Fault("F26", "the log answers after 5 s, later than ingest waits", slow_answers),
    Fault("F34", "a broker's disk is full", disk_full, recovers_within=90, needs=no_small_disk),
)
NOT_INJECTED = {
    "F35": "the local brokers speak plainly: there are no credentials and no certificates that could be revoked",
}
