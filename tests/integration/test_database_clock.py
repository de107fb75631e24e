"""All replicas go by the database's time, whatever their own wall clocks say."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import clock as clock_module
from shared.db.clock import DatabaseClock
from tests.services import rows

pytestmark = pytest.mark.integration


class TwoHoursBehind(datetime):
    """A wall clock that is wrong."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        return datetime.now(UTC) - timedelta(hours=2)


async def test_a_wrong_wall_clock_does_not_matter_once_the_database_was_asked(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_module, "datetime", TwoHoursBehind)
    clock = DatabaseClock(engine)
    assert await behind(engine, clock) > timedelta(hours=1)
    await clock.ask()
    assert abs(await behind(engine, clock)) < timedelta(seconds=1)
    assert clock.now().utcoffset() == timedelta(0)


async def behind(engine: AsyncEngine, clock: DatabaseClock) -> timedelta:
    now: datetime = (await rows(engine, "SELECT clock_timestamp() AS now"))[0].now
    return now - clock.now()
