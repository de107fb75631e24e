"""What people keep up to date of duty lists, absences and holidays."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

from sqlalchemy import delete, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notifier.core.duty import Absence, Duty
from services.notifier.core.routing import StaffMember
from services.notifier.store.rota import read_posts, read_register_at
from services.notifier.store.rows import Register
from shared.db.access_keys import audit
from shared.db.session import transaction
from shared.db.tables.notifier import absence, alert, division, duty, holiday, staff

_PLACE = text("SELECT division FROM household_place WHERE household_id = :household_id")


@dataclass(frozen=True, slots=True)
class DutyRow:
    """A line of a duty list, with a remark for people."""

    line: Duty
    note: str | None = None


@dataclass(frozen=True, slots=True)
class HolidayRow:
    """A public holiday, or a workday that makes up for one."""

    day: date
    name: str
    is_workday: bool


class Rosters:
    """Reads and changes duty lists, absences and holidays."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def known_staff(self, staff_ids: Iterable[str]) -> frozenset[str]:
        """Return those of the staff_ids that are known."""
        async with transaction(self._engine) as connection:
            found = await connection.execute(select(staff.c.staff_id).where(staff.c.staff_id.in_(list(staff_ids))))
            return frozenset(found.scalars())

    async def posts(self) -> Mapping[str, StaffMember]:
        """Return everybody by staff_id, without their channels."""
        async with transaction(self._engine) as connection:
            return {person.staff_id: person for person in await read_posts(connection)}

    async def register(self, start: datetime, end: datetime, within: Collection[str] = ()) -> Register:
        """Return the register of some divisions (none given: all), with who is at their post between two instants."""
        async with transaction(self._engine) as connection:
            codes = within or frozenset((await connection.execute(select(division.c.code))).scalars())
            return await read_register_at(connection, codes, start, end)

    async def division_of(self, household_id: str) -> str | None:
        """Return where a household lives, by the scorer's books or its newest alert; None if neither knows it."""
        newest = select(alert.c.division).where(alert.c.household_id == household_id)
        newest = newest.order_by(alert.c.household_version.desc()).limit(1)
        async with transaction(self._engine) as connection:
            found = (await connection.execute(_PLACE, {"household_id": household_id})).scalar_one_or_none()
            return found or (await connection.execute(newest)).scalar_one_or_none()

    async def save_duties(self, rows: Sequence[DutyRow]) -> int:
        """Put in a duty list, all or none; return how many lines it replaces.

        For each role and division in it, the lines that begin on or after its first day there are replaced; overrides
        and others each by their like.
        """
        first: dict[tuple[str, str, bool], date] = {}
        for row in rows:
            post = (row.line.role, row.line.division, row.line.overrides)
            first[post] = min(row.line.from_day, first.get(post, row.line.from_day))
        replaced = 0
        async with transaction(self._engine) as connection:
            for (role, code, overrides), day in first.items():
                its_like = (duty.c.role == role, duty.c.division == code, duty.c.overrides.is_(overrides))
                gone = await connection.execute(delete(duty).where(*its_like, duty.c.from_day >= day))
                replaced += gone.rowcount
            await connection.execute(insert(duty), [asdict(row.line) | {"note": row.note} for row in rows])
            await audit(connection, "command", "duty.imported", "duty", {"rows": len(rows), "replaced": replaced})
        return replaced

    async def save_holidays(self, days: Sequence[HolidayRow]) -> None:
        """Add or change holidays by their day, all or none."""
        statement = upsert(holiday)
        changed = {name: statement.excluded[name] for name in ("name", "is_workday")}
        statement = statement.on_conflict_do_update(index_elements=[holiday.c.day], set_=changed)
        async with transaction(self._engine) as connection:
            await connection.execute(statement, [asdict(row) for row in days])
            await audit(connection, "command", "holidays.imported", "holiday", {"rows": len(days)})

    async def add_absence(self, away: Absence) -> int:
        """Store an absence; return its number. Both people must be known."""
        async with transaction(self._engine) as connection:
            stored = await connection.execute(insert(absence).values(**asdict(away)).returning(absence.c.absence_id))
            number: int = stored.scalar_one()
            await audit(connection, "command", "absence.added", away.staff_id, {"absence_id": number})
        return number

    async def absences(self, since: datetime) -> dict[int, Absence]:
        """Return the absences that last beyond an instant, by number, the earliest first."""
        statement = select(absence).where(absence.c.to_at > since).order_by(absence.c.from_at, absence.c.absence_id)
        async with transaction(self._engine) as connection:
            rows = await connection.execute(statement)
            return {row.absence_id: Absence(row.staff_id, row.from_at, row.to_at, row.stand_in) for row in rows}

    async def remove_absence(self, number: int) -> bool:
        """Forget an absence. False if there is none of this number."""
        statement = delete(absence).where(absence.c.absence_id == number).returning(absence.c.staff_id)
        async with transaction(self._engine) as connection:
            staff_id = (await connection.execute(statement)).scalar_one_or_none()
            if staff_id is not None:
                await audit(connection, "command", "absence.removed", staff_id, {"absence_id": number})
        return staff_id is not None
