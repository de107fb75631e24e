"""Waiting until nothing is left to do."""

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from shared.topics import GRADE_CHANGES, HOUSEHOLD_EVENTS
from tests.chaos.base import RunName

if TYPE_CHECKING:
    from tests.chaos.world import World

LOOK_EVERY_SECONDS = 0.2
# In the order in which an event passes: what is found empty stays so once all before it are.
READERS = (("shouwang-scorer", HOUSEHOLD_EVENTS.name), ("shouwang-notifier", GRADE_CHANGES.name))


class NotDrained(TimeoutError):
    """Something was still under way when the time was over; the text says what."""


async def drained(world: "World", run: RunName, within: float) -> float:
    """Wait until everything is ready and nothing is left to do; seconds waited.

    Nothing left: no lag on either topic (log ends against partition_position), an empty outbox, and no pending
    delivery for alerts of the run's households (run "" = of any). Raises NotDrained.
    """
    started = time.monotonic()
    try:
        await world.wait_ready(within)
    except TimeoutError as error:
        raise NotDrained(str(error)) from error
    while True:
        still_open = await _still_open(world, run)
        seconds = time.monotonic() - started
        if not still_open:
            return seconds
        if seconds > within:
            raise NotDrained(f"after {seconds:.0f} s: {'; '.join(still_open)}")
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _still_open(world: "World", run: RunName) -> list[str]:
    """What is not done yet, in words; not to be taken for a complete list while the first of it is there."""
    scorer, notifier = READERS
    try:
        return (
            await _lag(world, *scorer)
            or await _outbox(world)
            or await _lag(world, *notifier)
            or await _pending(world, run)
        )
    except (SQLAlchemyError, OSError) as error:
        return [f"the database does not answer: {type(error).__name__}"]


async def _lag(world: "World", group: str, topic: str) -> list[str]:
    ends = await world.end_offsets(topic)
    rows = await world.sql(
        "SELECT partition, next_offset FROM partition_position WHERE consumer_group = :group AND topic = :topic",
        group=group,
        topic=world.topic_prefix + topic,
    )
    positions = {row.partition: row.next_offset or 0 for row in rows}
    behind = {partition: end - positions.get(partition, 0) for partition, end in ends.items()}
    return _told([f"{group} is {lag} behind on {topic}[{partition}]" for partition, lag in behind.items() if lag])


async def _outbox(world: "World") -> list[str]:
    (row,) = await world.sql("SELECT count(*) AS waiting FROM outbox")
    return [f"{row.waiting} messages in the outbox"] if row.waiting else []


async def _pending(world: "World", run: RunName) -> list[str]:
    (row,) = await world.sql(
        """
        SELECT count(*) AS waiting, min(next_attempt_at) AS next_attempt_at
        FROM delivery JOIN alert USING (alert_id)
        WHERE delivery.status = 'pending' AND starts_with(household_id, :beginning)
        """,
        beginning=f"{run}-" if run else "",
    )
    return [f"{row.waiting} deliveries pending, the next at {row.next_attempt_at}"] if row.waiting else []


def _told(lines: Sequence[str]) -> list[str]:
    return [*lines[:3], f"and {len(lines) - 3} more"] if len(lines) > 3 else list(lines)
