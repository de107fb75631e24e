"""Who owns a partition, and the offset that it reads next: in the database, beside the effects of what was read."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.bus.ports import Claim, TopicPartition
from shared.db.session import transaction
from shared.errors import LostOwnership

_CLAIM = text(
    """
    INSERT INTO partition_position AS p (consumer_group, topic, partition, epoch, owner)
    VALUES (:consumer_group, :topic, :partition, 1, :owner)
    ON CONFLICT (consumer_group, topic, partition)
    DO UPDATE SET epoch = p.epoch + 1, owner = excluded.owner, updated_at = now()
    RETURNING epoch, next_offset
    """
)
_ADVANCE = text(
    """
    UPDATE partition_position SET next_offset = :next_offset, updated_at = now()
    WHERE consumer_group = :consumer_group AND topic = :topic AND partition = :partition
      AND epoch = :epoch AND next_offset IS NOT DISTINCT FROM CAST(:expected AS bigint)
    """
)
_HOLD = text(
    """
    SELECT 1 FROM partition_position
    WHERE consumer_group = :consumer_group AND topic = :topic AND partition = :partition AND epoch = :epoch
    FOR UPDATE
    """
)


class Positions:
    """The positions of one consumer group, written by this process under the name `owner`."""

    def __init__(self, engine: AsyncEngine, consumer_group: str, owner: str) -> None:
        self._engine = engine
        self._group = consumer_group
        self._owner = owner

    async def claim(self, partition: TopicPartition) -> Claim:
        """Become the partition's owner under a new epoch; who owned it before can commit no more.

        Waits for a transaction of the former owner that is just committing, so the offset that comes back is final.
        Raises TemporaryFailure.
        """
        async with transaction(self._engine) as connection:
            row = (await connection.execute(_CLAIM, {**self._key(partition), "owner": self._owner})).one()
        return Claim(epoch=row.epoch, next_offset=row.next_offset)

    async def advance(
        self, connection: AsyncConnection, partition: TopicPartition, claim: Claim, next_offset: int
    ) -> None:
        """Move the position inside the caller's transaction. Raises LostOwnership, which must roll it back."""
        values = {"epoch": claim.epoch, "expected": claim.next_offset, "next_offset": next_offset}
        moved = await connection.execute(_ADVANCE, {**self._key(partition), **values})
        if moved.rowcount != 1:
            raise LostOwnership(f"{partition} has another owner")

    async def hold(self, connection: AsyncConnection, partition: TopicPartition, claim: Claim) -> None:
        """Make sure, until the caller's transaction ends, that we own the partition. Raises LostOwnership."""
        held = await connection.execute(_HOLD, {**self._key(partition), "epoch": claim.epoch})
        if held.first() is None:
            raise LostOwnership(f"{partition} has another owner")

    def _key(self, partition: TopicPartition) -> dict[str, str | int]:
        return {"consumer_group": self._group, "topic": partition.topic, "partition": partition.partition}
