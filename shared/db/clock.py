"""The database's time, carried on by a steady clock: the same for all replicas, whatever their own wall clocks say.

Leases, due times and days are compared between processes on different machines. A wall clock that jumps, or that was
never right, would make one replica ring too early and another too late.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.session import transaction
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger

log = get_logger(__name__)

ASK_EVERY_SECONDS = 10.0
_NOW = text("SELECT clock_timestamp()")


class DatabaseClock:
    """Implements the port Clock. Begin with `ask`; while the database is away the steady clock goes on alone."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._asked = datetime.now(UTC)
        self._asked_at = time.monotonic()

    def now(self) -> datetime:
        """Return the database's time, as well as it is known."""
        return self._asked + timedelta(seconds=time.monotonic() - self._asked_at)

    async def ask(self) -> None:
        """Ask the database. Raises TemporaryFailure."""
        before = time.monotonic()
        async with transaction(self._engine) as connection:
            found: datetime = (await connection.execute(_NOW)).scalar_one()
            after = time.monotonic()
        self._asked, self._asked_at = found.astimezone(UTC), (before + after) / 2

    async def run(self, stop: asyncio.Event) -> None:
        """Ask again and again until stopped; a supervised task."""
        await every(ASK_EVERY_SECONDS, self._ask_if_there, stop)

    async def _ask_if_there(self) -> bool:
        try:
            await self.ask()
        except TemporaryFailure as failure:
            log.warning("the database was not asked for the time", reason=str(failure))
        return False
