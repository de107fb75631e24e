"""What the console's pages show."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notifier.core.routing import ancestors, known_division
from services.notifier.store.alerts import alert_row
from services.notifier.store.reading import COLUMNS, within
from services.notifier.store.rows import AlertRow
from services.notifier.store.waiting import DeliveryKey, Waiting, read_waiting
from shared.alerts import UNDER_WAY
from shared.db.session import transaction
from shared.db.tables.notifier import alert, delivery, digest, division, staff
from shared.grades import GradeCode, RiskGrade

PAGE = 100
LISTED = 500
_LISTED = text(
    """
    SELECT h.household_id, h.alias, h.division, h.grade, a.alert_id FROM household_grade AS h
    LEFT JOIN alert AS a
      ON a.household_id = h.household_id AND a.status IN ('open', 'acknowledged', 'visited')
    WHERE h.grade = ANY(CAST(:grades AS int[])) AND starts_with(h.division, :reach)
    ORDER BY h.grade DESC, h.division, h.household_id LIMIT :most
    """
)


@dataclass(frozen=True, slots=True)
class Place:
    """The last line of the page before, in the order worst first, then oldest."""

    grade: int
    opened_at: datetime
    alert_id: str


@dataclass(frozen=True, slots=True)
class AlertList:
    """One page of alerts, worst first, then oldest.

    counts: all within reach, by grade. villages, people: names of divisions and people. new: ids to be marked as new.
    """

    rows: list[AlertRow]
    more: bool
    counts: Mapping[RiskGrade, int]
    villages: Mapping[str, str]
    people: Mapping[str, str]
    new: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ListedHousehold:
    """A household on the list. alert_id: of its alert under way, if there is one."""

    household_id: str
    alias: str | None
    division: str
    grade: int
    alert_id: str | None

    @property
    def code(self) -> GradeCode:
        """The grade's name."""
        return RiskGrade(self.grade).code


@dataclass(frozen=True, slots=True)
class Households:
    """Households on the list. more: there are others."""

    rows: list[ListedHousehold]
    more: bool
    villages: Mapping[str, str]


class ConsoleQueries:
    """Reads pages, never beyond the reach given."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open_alerts(self, reach: str, after: Place | None) -> AlertList:
        """Return a page of the alerts under way."""
        return await self._list([within(reach), alert.c.status.in_(UNDER_WAY)], after)

    async def digest_alerts(self, reach: str, digest_id: str, after: Place | None) -> tuple[AlertList, datetime] | None:
        """Return a page of what a digest names, as it stands now, and when it was written; None if nothing of it lies
        within reach."""
        told = select(delivery.c.alert_id).where(delivery.c.digest_id == digest_id)
        async with transaction(self._engine) as connection:
            found = await connection.execute(
                select(digest.c.created_at, digest.c.earlier).where(digest.c.digest_id == digest_id)
            )
            row = found.one_or_none()
            new = frozenset((await connection.execute(told)).scalars()) if row is not None and row.earlier else None
        if row is None:
            return None
        named = or_(alert.c.alert_id.in_(told), alert.c.alert_id.in_(row.earlier))
        page = await self._list([within(reach), named], after)
        return (replace(page, new=new or frozenset()), row.created_at) if page.counts else None

    async def _list(self, here: Sequence[ColumnElement[bool]], after: Place | None) -> AlertList:
        statement = select(*COLUMNS).where(*here)
        if after is not None:
            # Grades count downwards here, so that one comparison of rows serves the whole order.
            place = tuple_(-alert.c.grade, alert.c.opened_at, alert.c.alert_id)
            statement = statement.where(place > (-after.grade, after.opened_at, after.alert_id))
        statement = statement.order_by(alert.c.grade.desc(), alert.c.opened_at, alert.c.alert_id).limit(PAGE + 1)
        counting = select(alert.c.grade, func.count().label("alerts")).where(*here).group_by(alert.c.grade)
        async with transaction(self._engine) as connection:
            rows = [alert_row(row) for row in await connection.execute(statement)]
            counts = {RiskGrade(row.grade): int(row.alerts) for row in await connection.execute(counting)}
        shown = rows[:PAGE]
        return AlertList(
            rows=shown,
            more=len(rows) > PAGE,
            counts=counts,
            villages=await self.village_names({row.division for row in shown}),
            people=await self.people_names({row.owner for row in shown if row.owner}),
        )

    async def waiting(self, alert_id: str) -> Mapping[DeliveryKey, Waiting]:
        """Return for each delivery of an alert how it waits."""
        async with transaction(self._engine) as connection:
            return await read_waiting(connection, alert_id)

    async def listed(self, reach: str, grades: Collection[RiskGrade]) -> Households:
        """Return the households that hold one of the grades now, worst first, with their alerts under way."""
        values = {"grades": [int(grade) for grade in grades], "reach": reach, "most": LISTED + 1}
        async with transaction(self._engine) as connection:
            rows = [ListedHousehold(**row._mapping) for row in await connection.execute(_LISTED, values)]
        shown = rows[:LISTED]
        villages = await self.village_names({row.division for row in shown})
        return Households(shown, len(rows) > LISTED, villages)

    async def village_names(self, divisions: Collection[str]) -> Mapping[str, str]:
        """Name each division; one that no register knows bears its nearest known ancestor's name."""
        codes = {code for one in divisions for code in ancestors(one)}
        async with transaction(self._engine) as connection:
            found = await connection.execute(select(division.c.code, division.c.name).where(division.c.code.in_(codes)))
            names = {row.code: row.name for row in found}
        return {one: names.get(known_division(one, names), one) for one in divisions}

    async def people_names(self, staff_ids: Collection[str]) -> Mapping[str, str]:
        """Name people."""
        if not staff_ids:
            return {}
        async with transaction(self._engine) as connection:
            found = await connection.execute(
                select(staff.c.staff_id, staff.c.name).where(staff.c.staff_id.in_(staff_ids))
            )
            return {row.staff_id: row.name for row in found}
