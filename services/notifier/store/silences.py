"""Silences: made, ended and read; each act leaves its entry in the audit log."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.silencing import NewSilence, Silence
from shared.db.access_keys import audit
from shared.db.session import transaction
from shared.db.tables.notifier import silence
from shared.grades import RiskGrade


async def read_silences(connection: AsyncConnection, at: datetime) -> list[Silence]:
    """Return the silences that are in force at an instant, the oldest first."""
    not_ended = or_(silence.c.ended_at.is_(None), silence.c.ended_at > at)
    found = await connection.execute(
        select(silence)
        .where(silence.c.until_at > at, silence.c.created_at <= at, not_ended)
        .order_by(silence.c.silence_id)
    )
    return [silence_of(row) for row in found]


def silence_of(row: Row[Any]) -> Silence:
    """Build a silence from a row that holds its columns."""
    values = dict(row._mapping)
    return Silence(**values | {"grades": frozenset(RiskGrade(one) for one in values["grades"])})


class Silences:
    """Makes, ends and reads silences."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, wanted: NewSilence) -> Silence:
        """Store a silence and return it."""
        values = asdict(wanted) | {"grades": sorted(int(one) for one in wanted.grades)}
        facts = {
            "division": wanted.division,
            "household_id": wanted.household_id,
            "grades": sorted(one.code for one in wanted.grades),
            "until": wanted.until_at.isoformat(),
        }
        async with transaction(self._engine) as connection:
            stored = await connection.execute(insert(silence).values(**values).returning(silence))
            made = silence_of(stored.one())
            await audit(connection, wanted.owner, "silence.added", str(made.silence_id), facts)
        return made

    async def end(self, silence_id: int, by: str, now: datetime) -> bool:
        """End a silence; False if it was over already. The climber tells within seconds what it kept from people."""
        async with transaction(self._engine) as connection:
            ended = await connection.execute(
                update(silence)
                .where(silence.c.silence_id == silence_id, silence.c.ended_at.is_(None), silence.c.until_at > now)
                .values(ended_at=now, ended_by=by)
            )
            if ended.rowcount:
                await audit(connection, by, "silence.ended", str(silence_id), {})
        return bool(ended.rowcount)

    async def find(self, reach: str, silence_id: int) -> Silence | None:
        """Return one silence whose division lies within reach; None if there is none."""
        statement = select(silence).where(
            silence.c.silence_id == silence_id, silence.c.division.startswith(reach, autoescape=True)
        )
        async with transaction(self._engine) as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else silence_of(row)

    async def in_force(self, at: datetime) -> list[Silence]:
        """Return all silences in force at an instant, the oldest first."""
        async with transaction(self._engine) as connection:
            return await read_silences(connection, at)

    async def newest(self, reach: str, most: int) -> list[Silence]:
        """Return silences within reach, those that are over too, the newest first."""
        statement = select(silence).where(silence.c.division.startswith(reach, autoescape=True))
        async with transaction(self._engine) as connection:
            rows = await connection.execute(statement.order_by(silence.c.silence_id.desc()).limit(most))
            return [silence_of(row) for row in rows]

    async def covering(self, household_id: str, division: str, grade: RiskGrade, now: datetime) -> list[Silence]:
        """Return the silences that keep alerts of a household from people now."""
        return [one for one in await self.in_force(now) if one.covers(household_id, division, grade)]
