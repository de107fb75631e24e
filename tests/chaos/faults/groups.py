"""Faults of the agreements on the log: who reads what, how far it was read, what the log takes."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.scorer.wiring import CONSUMER_GROUP
from shared.topics import HOUSEHOLD_EVENTS
from tests.chaos.base import Effect, Fault
from tests.chaos.faults.watch import (
    SCORERS,
    ClientView,
    claims_since,
    comes_true,
    durability_impossible,
    epochs,
    wait_ready,
)
from tests.chaos.world import World

STORM_SECONDS = 30
SESSION_ENDS_WITHIN_SECONDS = 20.0
GAP = 1_000_000

_POSITIONS = """
    SELECT partition, next_offset FROM partition_position WHERE consumer_group = 'shouwang-scorer' ORDER BY partition
"""
_SHIFT = """
    UPDATE partition_position SET next_offset = next_offset + :gap, epoch = epoch + 1
    WHERE consumer_group = 'shouwang-scorer' AND partition = :partition
"""


async def coordinator_moves(world: World, rng: Random) -> Effect:
    """F27."""
    moves = []
    for _ in range(2):
        coordinator = await world.group_coordinator(CONSUMER_GROUP)
        coordinator.stop()
        await coordinator.wait_stopped()
        heir = await world.group_coordinator(CONSUMER_GROUP)
        moves.append((coordinator.node_id, heir.node_id))
        coordinator.start()
        await coordinator.wait_ready()
    moved = sum(before != after for before, after in moves)
    return Effect("moved " + ", ".join(f"{before} to {after}" for before, after in moves), moved)


async def writes_refused(world: World, rng: Random) -> Effect:
    """F28: real brokers refuse with code 19 or 20 (too few replicas), then with code 10 (record too large)."""
    view = ClientView(world)
    broker = rng.choice(list(world.brokers))
    async with _topic_settings(world, {"min.insync.replicas": "3"}):
        await asyncio.to_thread(broker.kill)
        async with durability_impossible(world):
            await asyncio.sleep(6)
    too_few = view.unanswered
    broker.start()
    await broker.wait_ready()
    async with _topic_settings(world, {"max.message.bytes": "50"}), durability_impossible(world):
        await asyncio.sleep(4)
    too_large = view.unanswered - too_few
    return Effect(f"{too_few} sends put off by too few replicas, {too_large} as too large", min(too_few, too_large))


async def offsets_reset(world: World, rng: Random) -> Effect:
    """F29: somebody sets the group's offsets on the log back to the beginning while no scorer runs."""
    for name in SCORERS:
        world.hold_down(name)
    offsets = dict.fromkeys(await world.end_offsets(HOUSEHOLD_EVENTS.name), 0)
    group = world.topic_prefix + CONSUMER_GROUP
    admin = AIOKafkaAdminClient(bootstrap_servers=world.bootstrap_direct)
    await admin.start()
    try:

        async def is_empty() -> bool:
            (answer,) = await admin.describe_consumer_groups([group])
            return bool(answer.groups[0][2] in ("Empty", "Dead"))

        await comes_true(is_empty, SESSION_ENDS_WITHIN_SECONDS)
    finally:
        await admin.close()
    await _commit(world, group, offsets)
    rows = await world.sql(_POSITIONS)
    wrong = sum(bool(row.next_offset) for row in rows)
    await asyncio.gather(*(world.services[name].restart() for name in SCORERS))
    await wait_ready(world, SCORERS)
    return Effect(f"{wrong} offsets on the log said 0 against the positions in the database", wrong)


async def log_is_shorter(world: World, rng: Random) -> Effect:
    """F30: a position that the log does not reach, as after a truncation; nothing may be skipped meanwhile.

    The position is moved, and not the log, because a truncated log would have lost events for good.
    """
    partition = rng.randrange(HOUSEHOLD_EVENTS.partitions)
    marks = {name: world.services[name].log_mark() for name in SCORERS}
    await world.sql(_SHIFT, gap=GAP, partition=partition)

    async def is_halted() -> bool:
        return any("partition halted" in world.services[name].log_text(mark) for name, mark in marks.items())

    halted = await comes_true(is_halted, 30)
    await asyncio.sleep(3)
    (before,) = [row.next_offset for row in await world.sql(_POSITIONS) if row.partition == partition]
    world.note("restored", partition=partition)
    await world.sql(_SHIFT, gap=-GAP, partition=partition)
    return Effect(f"partition {partition} halted at {before}, nothing skipped", int(halted and before >= GAP))


async def rebalance_storm(world: World, rng: Random) -> Effect:
    """F31: a stranger joins the scorers' group and leaves it, again and again, and applies nothing of what it gets."""
    before = await epochs(world)
    loop = asyncio.get_running_loop()
    end = loop.time() + STORM_SECONDS
    rounds = 0
    while loop.time() < end:
        stranger = AIOKafkaConsumer(
            world.topic_prefix + HOUSEHOLD_EVENTS.name,
            bootstrap_servers=world.bootstrap_direct,
            group_id=world.topic_prefix + CONSUMER_GROUP,
            enable_auto_commit=False,
        )
        await stranger.start()
        await asyncio.sleep(2)
        await stranger.stop()
        rounds += 1
        await asyncio.sleep(2)
    claims = await claims_since(world, before)
    return Effect(f"{rounds} times joined and left, {claims} claims of partitions", claims)


async def _commit(world: World, group: str, offsets: Mapping[int, int]) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=world.bootstrap_direct, group_id=group, enable_auto_commit=False)
    topic = world.topic_prefix + HOUSEHOLD_EVENTS.name
    consumer.assign([TopicPartition(topic, partition) for partition in offsets])
    await consumer.start()
    try:
        await consumer.commit({TopicPartition(topic, partition): offset for partition, offset in offsets.items()})
    finally:
        await consumer.stop()


@asynccontextmanager
async def _topic_settings(world: World, changed: Mapping[str, str]) -> AsyncIterator[None]:
    """Give the events' topic other settings while the block lasts."""
    usual = HOUSEHOLD_EVENTS.config(replication=3)
    await _alter(world, {**usual, **changed})
    try:
        yield
    finally:
        await _alter(world, usual)


async def _alter(world: World, settings: Mapping[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=world.bootstrap_direct)
    await admin.start()
    try:
        topic = world.topic_prefix + HOUSEHOLD_EVENTS.name
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(settings))])
    finally:
        await admin.close()


FAULTS: Sequence[Fault] = (
    Fault("F27", "the groups' coordinator moves, twice", coordinator_moves, recovers_within=90),
    Fault("F28", "the log refuses writes: too few replicas, then records too large", writes_refused),
    Fault("F29", "the offsets that the log keeps are set back to the beginning", offsets_reset),
    Fault("F30", "a position lies beyond the end of the log", log_is_shorter),
    Fault("F31", f"a stranger joins and leaves the scorers' group for {STORM_SECONDS} s", rebalance_storm),
)
NOT_INJECTED: dict[str, str] = {}
