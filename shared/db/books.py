"""The books of the partitions, read in one snapshot: what was read from the log, and what there is to show for it.

For each partition `next_offset - first_offset = applied + repeated + quarantined`; and each applied record has left a
row in the ledger, each quarantined one a row in the quarantine. Only reads.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.db.session import transaction

_ONE_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
_BOOKS = text(
    """
    SELECT partition, epoch, first_offset, next_offset, applied, repeated, quarantined FROM partition_position
    WHERE consumer_group = :consumer_group AND topic = :topic AND first_offset IS NOT NULL
    """
)
_WINDOWS = "unnest(CAST(:partitions AS int[]), CAST(:froms AS bigint[]), CAST(:untils AS bigint[]))"
# The lowest offset stands there a second time because only a plain comparison can use the summaries of the index.
_LEDGER_ROWS = text(
    f"""
    SELECT topic_partition AS partition, count(*) AS found
    FROM event_ledger JOIN {_WINDOWS} AS w (p, f, u)
      ON topic_partition = p AND topic_offset >= f AND topic_offset < u
    WHERE topic_offset >= :lowest GROUP BY topic_partition
    """  # noqa: S608
)
_QUARANTINE_ROWS = text(
    f"""
    SELECT topic_partition AS partition, count(*) AS found
    FROM quarantine JOIN {_WINDOWS} AS w (p, f, u)
      ON topic_partition = p AND topic_offset >= f AND topic_offset < u
    WHERE topic = :topic GROUP BY topic_partition
    """  # noqa: S608
)
_OUTBOX = text("SELECT count(*) FROM outbox")
_OPEN_CLUES = text("SELECT count(*) FROM clue WHERE closed_at IS NULL")
_NEXT_HOUSEHOLDS = text(
    "SELECT household_id FROM household_state WHERE household_id > :after ORDER BY household_id LIMIT :most"
)


@dataclass(frozen=True, slots=True)
class Book:
    """What one consumer group has read of one partition: offsets from first to next (exclusive), and their fates."""

    partition: int
    epoch: int
    first_offset: int
    next_offset: int
    applied: int
    repeated: int
    quarantined: int

    @property
    def unexplained(self) -> int:
        """Records that were passed and have no fate (negative: more fates than records)."""
        return self.next_offset - self.first_offset - self.applied - self.repeated - self.quarantined


Windows = Mapping[int, tuple[int, int]]
"""partition -> (first offset, offset after the last)"""


class Snapshot:
    """Everything read through one of these is of one moment."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def books(self, consumer_group: str, topic: str) -> dict[int, Book]:
        """Return the books by partition; partitions of which nothing was read are left out."""
        rows = await self._connection.execute(_BOOKS, {"consumer_group": consumer_group, "topic": topic})
        return {row.partition: Book(**row._mapping) for row in rows}

    async def ledger_rows(self, windows: Windows) -> dict[int, int]:
        """Count the ledger's rows within windows of offsets, by partition."""
        if not windows:
            return {}
        lowest = min(start for start, _ in windows.values())
        rows = await self._connection.execute(_LEDGER_ROWS, {**_arrays(windows), "lowest": lowest})
        return {row.partition: row.found for row in rows}

    async def quarantine_rows(self, topic: str, windows: Windows) -> dict[int, int]:
        """Count the quarantine's rows of a topic within windows of offsets, by partition."""
        rows = await self._connection.execute(_QUARANTINE_ROWS, {**_arrays(windows), "topic": topic})
        return {row.partition: row.found for row in rows}

    async def outbox_messages(self) -> int:
        """Count the messages that wait for the relay."""
        return int((await self._connection.execute(_OUTBOX)).scalar_one())

    async def waiting_households(self) -> int:
        """Count the households that events name and no register knows yet."""
        return int((await self._connection.execute(_OPEN_CLUES)).scalar_one())

    async def households_after(self, household_id: str, most: int) -> list[str]:
        """Return the next ids in order."""
        rows = await self._connection.execute(_NEXT_HOUSEHOLDS, {"after": household_id, "most": most})
        return list(rows.scalars())


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[Snapshot]:
    """Open a read-only snapshot of the database. Raises TemporaryFailure."""
    async with transaction(engine) as connection:
        await connection.execute(_ONE_SNAPSHOT)
        yield Snapshot(connection)


def _arrays(windows: Windows) -> dict[str, list[int]]:
    starts, ends = [start for start, _ in windows.values()], [end for _, end in windows.values()]
    return {"partitions": list(windows), "froms": starts, "untils": ends}
