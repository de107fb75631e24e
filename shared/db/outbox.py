"""The outbox: messages written in the transaction that caused them, put on the log later, in order, at least once."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.bus.ports import Publisher
from shared.db.session import transaction
from shared.errors import TemporaryFailure
from shared.topics import ALL_TOPICS

_TOPICS = {topic.name: topic for topic in ALL_TOPICS}
# Any number will do, as long as every relay takes the same. One relay works at a time, so that the changes of one
# household keep their order; the others find the lock taken and wait for their turn.
_RELAY_LOCK = 7_239_002
_TAKE_TURN = text(f"SELECT pg_try_advisory_xact_lock({_RELAY_LOCK})")
_OLDEST = text("SELECT outbox_id, topic, key, value FROM outbox ORDER BY outbox_id LIMIT :limit")
_REMOVE = text("DELETE FROM outbox WHERE outbox_id = ANY(:ids)")
_ADD = text(
    """
    INSERT INTO outbox (topic, key, value)
    SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:keys AS text[]), CAST(:values AS bytea[]))
    """
)

Message = tuple[str, str, bytes]
"""(topic name, record key, record value)"""


class _Row(NamedTuple):
    outbox_id: int
    topic: str
    key: str
    value: bytes


async def add_to_outbox(connection: AsyncConnection, messages: Sequence[Message]) -> None:
    """Add messages in the caller's transaction, in this order."""
    if messages:
        topics, keys, values = zip(*messages, strict=True)
        await connection.execute(_ADD, {"topics": list(topics), "keys": list(keys), "values": list(values)})


class Outbox:
    """The reading side: takes the oldest messages, publishes them, removes what the log has."""

    def __init__(self, engine: AsyncEngine, publisher: Publisher, *, at_once: int = 500) -> None:
        self._engine = engine
        self._publisher = publisher
        self._at_once = at_once

    async def relay(self) -> int:
        """Publish one batch; return how many messages went out. Raises TemporaryFailure.

        The transaction stays open while the log answers: that is what keeps a second relay out. A message whose
        acknowledgement was lost goes out again; readers know it by its id.
        """
        async with transaction(self._engine) as connection:
            if not (await connection.execute(_TAKE_TURN)).scalar_one():
                return 0
            found = await connection.execute(_OLDEST, {"limit": self._at_once})
            rows = [_Row(*row) for row in found]
            # Messages of one key go one after the other, those of different keys side by side.
            lanes = [list(lane) for _, lane in groupby(sorted(rows, key=_lane), key=_lane)]
            # A group, so that no lane goes on publishing after another has failed and the turn is over.
            try:
                async with asyncio.TaskGroup() as group:
                    for lane in lanes:
                        group.create_task(self._publish_lane(lane))
            except* TemporaryFailure as failures:
                raise TemporaryFailure(f"{len(failures.exceptions)} messages wait for the log") from failures
            if rows:
                await connection.execute(_REMOVE, {"ids": [row.outbox_id for row in rows]})
        return len(rows)

    async def _publish_lane(self, lane: Sequence[_Row]) -> None:
        for row in lane:
            await self._publisher.publish(_TOPICS[row.topic], row.key, row.value, within_seconds=10.0)


def _lane(row: _Row) -> tuple[str, str]:
    return (row.topic, row.key)
