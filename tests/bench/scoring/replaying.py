"""Tells a database again what was recorded: the ceiling of whatever wrote it.

The same statements with the same values, through the driver alone; as many side by side as there were: a transaction
begins when all those have ended that had ended when it began in the recording.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from tests.bench.scoring.recording import Statement, Transaction

SIDE_BY_SIDE = 8
"""The services' pool has as many connections."""
COPY = "COPY "
ADVANCE = "UPDATE partition_position"
"""Stands in each transaction of a batch."""


class NotTheSame(RuntimeError):
    """The database is not the one that the recording began with."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """When it began and ended (of the steady clock), and what the telling alone cost."""

    began: float
    ended: float
    cpu_seconds: float

    @property
    def seconds(self) -> float:
        """How long it took, from the first BEGIN to the last COMMIT."""
        return self.ended - self.began


class Replay:
    """One telling. reads: also the statements that only read."""

    def __init__(self, transactions: Sequence[Transaction], dsn: str, *, reads: bool = False) -> None:
        self._transactions = [as_first_owner(one, reads=reads) for one in transactions]
        self._dsn = dsn
        self._ended = [False] * len(transactions)
        self._prefix = 0
        self._progress = asyncio.Condition()

    async def run(self) -> Replayed:
        """Tell everything. Raises NotTheSame."""
        async with asyncpg.create_pool(self._dsn, min_size=SIDE_BY_SIDE, max_size=SIDE_BY_SIDE) as pool:
            began, cpu_began = time.monotonic(), time.process_time()
            async with asyncio.TaskGroup() as group:
                for at in sorted(range(len(self._transactions)), key=lambda at: self._transactions[at].after):
                    await self._until(self._transactions[at].after)
                    group.create_task(self._tell(pool, at))
            return Replayed(began, time.monotonic(), time.process_time() - cpu_began)

    async def _until(self, after: int) -> None:
        async with self._progress:
            await self._progress.wait_for(lambda: self._prefix >= after)

    async def _tell(self, pool: "asyncpg.Pool[Any]", at: int) -> None:
        async with pool.acquire() as connection, connection.transaction():
            for one in self._transactions[at].statements:
                answer = await tell(connection, one)
                if ADVANCE in one.text and answer != "UPDATE 1":
                    raise NotTheSame(f"a position could not be moved ({answer}): {one.names} {one.values}")
        async with self._progress:
            self._ended[at] = True
            while self._prefix < len(self._ended) and self._ended[self._prefix]:
                self._prefix += 1
            self._progress.notify_all()


async def tell(connection: Any, statement: Statement) -> Any:
    """Tell one statement; what the database answered."""
    if statement.text.startswith(COPY):
        table = statement.text.removeprefix(COPY)
        return await connection.copy_records_to_table(table, columns=statement.names, records=statement.values)
    ask = connection.fetch if statement.reads else connection.execute
    return await ask(statement.text, *statement.values)


def as_first_owner(transaction: Transaction, *, reads: bool) -> Transaction:
    """What is to be told of a transaction to a fresh copy, where the partitions are still whose who stored the rows."""
    statements = [_under_first_epoch(one) for one in transaction.statements if reads or not one.reads]
    return Transaction(transaction.after, statements, True)


def _under_first_epoch(statement: Statement) -> Statement:
    if ADVANCE not in statement.text:
        return statement
    values = list(statement.values)
    values[statement.names.index("epoch")] = 1
    return replace(statement, values=values)
