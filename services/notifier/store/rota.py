"""Duty lists, absences and holidays."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.core.duty import Absence, Duty, Rota
from services.notifier.core.routing import StaffMember
from services.notifier.store.directory import read_register
from services.notifier.store.rows import Register
from shared.clock import day_of
from shared.db.one_of import one_of
from shared.db.tables.notifier import absence, duty, holiday, staff

_DAY = timedelta(days=1)


async def read_register_at(
    connection: AsyncConnection, divisions: Collection[str], start: datetime, end: datetime | None = None
) -> Register:
    """Return all that routing asks for about some divisions, from one instant to another (or at one alone)."""
    register = await read_register(connection, divisions)
    return replace(
        register,
        retired=await read_posts(connection, one_of(staff.c.division, divisions), ~staff.c.active),
        rota=await read_rota(connection, divisions, start, end or start),
    )


async def read_rota(connection: AsyncConnection, divisions: Collection[str], start: datetime, end: datetime) -> Rota:
    """Return the duty lines, absences and holidays that matter between two instants."""
    # A night shift of yesterday may last until today.
    first, last = day_of(start) - _DAY, day_of(end)
    lines = await connection.execute(
        select(duty)
        .where(one_of(duty.c.division, divisions), duty.c.from_day <= last, duty.c.to_day >= first)
        .order_by(duty.c.duty_id)
    )
    away = await connection.execute(
        select(absence)
        .join(staff, staff.c.staff_id == absence.c.staff_id)
        .where(one_of(staff.c.division, divisions), absence.c.from_at <= end, absence.c.to_at > start)
        .order_by(absence.c.absence_id)
    )
    days = await connection.execute(select(holiday).where(holiday.c.day.between(first, last)))
    return Rota(
        tuple(
            Duty(
                row.staff_id,
                row.role,
                row.division,
                row.from_day,
                row.to_day,
                row.from_time,
                row.to_time,
                None if row.weekdays is None else tuple(row.weekdays),
                row.overrides,
            )
            for row in lines
        ),
        tuple(Absence(row.staff_id, row.from_at, row.to_at, row.stand_in) for row in away),
        {row.day: row.is_workday for row in days},
    )


async def read_posts(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> tuple[StaffMember, ...]:
    """Return people with their posts alone, without their channels."""
    rows = await connection.execute(
        select(staff.c.staff_id, staff.c.role, staff.c.division, staff.c.active)
        .where(*conditions)
        .order_by(staff.c.staff_id)
    )
    return tuple(StaffMember(row.staff_id, row.role, row.division, (), active=row.active) for row in rows)
