"""Who owns a partition, the offset that it reads next, and what became of the records before it.

All of it in the database, moved by the transaction that writes the effects of what was read.
"""

from dataclasses import asdict, dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.bus.ports import Claim, PartitionBatch, TopicPartition
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
    UPDATE partition_position SET
        next_offset = :next_offset, first_offset = coalesce(first_offset, :first_offset), updated_at = now(),
        applied = applied + :applied, repeated = repeated + :repeated, quarantined = quarantined + :quarantined
    WHERE consumer_group = :consumer_group AND topic = :topic AND partition = :partition
      AND epoch = :epoch AND next_offset IS NOT DISTINCT FROM CAST(:expected AS bigint)
    """
)
_HOLD = text(
    """
    SELECT 1 FROM partition_position
    WHERE consumer_group = :consumer_group AND topic = :topic AND partition = :partition
      AND epoch = :epoch AND next_offset IS NOT DISTINCT FROM CAST(:expected AS bigint)
    FOR UPDATE
    """
)
_REFUSAL_TERMS = text(
    """
    SELECT first_offset, quarantine_freely_until FROM partition_position
    WHERE consumer_group = :consumer_group AND topic = :topic AND partition = :partition
    """
)
_ALLOW_REFUSALS = text(
    """
    UPDATE partition_position SET quarantine_freely_until = :until_offset
    WHERE consumer_group = :consumer_group AND topic = :topic AND partition = :partition
    RETURNING next_offset
    """
)


@dataclass(frozen=True, slots=True)
class Fates:
    """How many records of a batch were applied, known already, or put in quarantine; each record is one of these."""

    applied: int = 0
    repeated: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class RefusalTerms:
    """What the limits on refused records need to know of a partition.

    first_offset: of the first record that was ever read; None before. free_below: below this offset an operator has
    allowed any number of refusals.
    """

    first_offset: int | None
    free_below: int


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

    async def advance(self, connection: AsyncConnection, batch: PartitionBatch, fates: Fates) -> None:
        """Move the position past a batch inside the caller's transaction.

        Raises LostOwnership, which must roll it back, and ValueError when the fates do not add up to the batch.
        """
        if fates.applied + fates.repeated + fates.quarantined != len(batch.records):
            raise ValueError(f"{batch.partition}: {len(batch.records)} records were read, but their fates are {fates}")
        values = {
            "epoch": batch.claim.epoch,
            "expected": batch.claim.next_offset,
            "next_offset": batch.next_offset,
            "first_offset": batch.first_offset,
        }
        moved = await connection.execute(_ADVANCE, {**self._key(batch.partition), **values, **asdict(fates)})
        if moved.rowcount != 1:
            raise LostOwnership(f"{batch.partition} has another owner")

    async def hold(self, connection: AsyncConnection, partition: TopicPartition, claim: Claim) -> None:
        """Make sure, until the caller's transaction ends, that the partition is ours and its position the claim's.

        Raises LostOwnership.
        """
        values = {"epoch": claim.epoch, "expected": claim.next_offset}
        held = await connection.execute(_HOLD, {**self._key(partition), **values})
        if held.first() is None:
            raise LostOwnership(f"{partition} has another owner")

    async def refusal_terms(self, connection: AsyncConnection, partition: TopicPartition) -> RefusalTerms:
        """Return what limits the refusal of records of a partition."""
        row = (await connection.execute(_REFUSAL_TERMS, self._key(partition))).one_or_none()
        return RefusalTerms(row.first_offset, row.quarantine_freely_until or 0) if row else RefusalTerms(None, 0)

    async def allow_refusals(
        self, connection: AsyncConnection, partition: TopicPartition, until_offset: int
    ) -> int | None:
        """Lift the limits below an offset, in the caller's transaction; return the offset that is read next.

        Raises LookupError for a partition that nobody has read yet.
        """
        moved = await connection.execute(_ALLOW_REFUSALS, {**self._key(partition), "until_offset": until_offset})
        row = moved.one_or_none()
        if row is None:
            raise LookupError(f"{partition} has never been read")
        next_offset: int | None = row.next_offset
        return next_offset

    def _key(self, partition: TopicPartition) -> dict[str, str | int]:
        return {"consumer_group": self._group, "topic": partition.topic, "partition": partition.partition}
