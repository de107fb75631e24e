"""The driver itself, for the few statements that move the rows of a whole batch.

SQLAlchemy opens and ends the transaction; what goes through here is part of it. It saves the wrapping of each row and
gives access to COPY, which takes rows at half the processor time of an INSERT from arrays (DECISIONS.md, 49).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_NOTHING = text("SELECT 1")


class AlreadyThere(Exception):
    """A row that was to be added has a key that the table knows already; nothing of the transaction can stay."""


class Driver:
    """asyncpg under one of SQLAlchemy's connections. Make it with `of`, inside a transaction."""

    def __init__(self, connection: AsyncConnection, asyncpg_connection: asyncpg.Connection) -> None:
        self.connection = connection
        self._asyncpg = asyncpg_connection

    @classmethod
    async def of(cls, connection: AsyncConnection) -> "Driver":
        """Reach through to the driver; see to it that the transaction has really begun."""
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)
        if not driver.is_in_transaction():
            # SQLAlchemy sends BEGIN with its first statement, and there has been none yet.
            await connection.execute(_NOTHING)
        return cls(connection, driver)

    async def fetch(self, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
        """Run a statement with $1, $2 … and return its rows."""
        rows: Sequence[Sequence[Any]] = await self._asyncpg.fetch(statement, *values)
        return rows

    async def copy(self, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        """Append rows to a table. Raises AlreadyThere."""
        try:
            await self._asyncpg.copy_records_to_table(table, columns=columns, records=rows)
        except asyncpg.UniqueViolationError as error:
            raise AlreadyThere(f"{table}: {error.constraint_name}") from error
