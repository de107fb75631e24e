"""Weekly lists: each made once for each person and week, whatever is killed when, and sent until it is taken."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, exists, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.budgets import LIMITS
from services.notifier.core.message import Message
from services.notifier.core.retries import Attempt, Verdict
from services.notifier.core.routing import StaffMember, ancestors
from services.notifier.core.weekly import Listed
from services.notifier.store.budgets import one_at_a_time, pause, within_budget
from services.notifier.store.rota import read_register_at
from services.notifier.store.rows import Register
from shared.alerts import ChannelName, DeliveryStatus
from shared.db.session import transaction
from shared.db.tables.notifier import list_delivery, staff, weekly_list
from shared.grades import RiskGrade

_HOUSEHOLDS = text(
    """
    SELECT household_id, alias, grade, left(division, :digits) AS prefix FROM household_grade
    WHERE grade = ANY(CAST(:grades AS int[])) AND left(division, :digits) = ANY(CAST(:prefixes AS text[]))
    """
)
# Alerts go first: a list waits while its receiver has any to get.
_CLAIM = text(
    """
    WITH due AS MATERIALIZED (
        SELECT list_delivery_id FROM list_delivery AS l
        WHERE channel = :channel AND status = 'pending' AND next_attempt_at <= :now
          AND (leased_until IS NULL OR leased_until <= :now)
          AND NOT EXISTS (
            SELECT FROM delivery AS d WHERE d.channel = l.channel AND d.target = l.target AND d.status = 'pending'
              AND d.digest_id IS NULL AND d.next_attempt_at <= :now AND (d.held IS NULL OR d.held_until <= :now)
          )
          AND NOT EXISTS (
            SELECT FROM digest AS g WHERE g.channel = l.channel AND g.target = l.target AND g.status = 'pending'
              AND g.next_attempt_at <= :now
          )
        ORDER BY next_attempt_at, list_delivery_id LIMIT :most FOR UPDATE SKIP LOCKED
    )
    UPDATE list_delivery AS l SET leased_until = :leased_until, leased_by = :worker
    FROM due
    JOIN list_delivery AS of_due ON of_due.list_delivery_id = due.list_delivery_id
    JOIN weekly_list AS w ON w.list_id = of_due.list_id
    JOIN staff AS s ON s.staff_id = w.told
    LEFT JOIN contact AS c
      ON c.staff_id = w.told AND c.channel = of_due.channel AND s.active AND c.disabled_at IS NULL
    WHERE l.list_delivery_id = due.list_delivery_id
    RETURNING l.list_delivery_id AS delivery_id, 0 AS grade, l.target, l.message_id, l.attempts, l.created_at,
              w.told AS staff_id, w.subject, w.text, w.body, w.brief, c.address, c.secret
    """
)


@dataclass(frozen=True, slots=True)
class ListRow:
    """A list to be stored; see the table."""

    staff_id: str
    division: str
    week: date
    made_at: datetime
    told: str | None
    households: int
    subject: str | None = None
    text: str | None = None
    body: str | None = None
    brief: str | None = None


@dataclass(frozen=True, slots=True)
class ListDeliveryRow:
    """A delivery of a list, before the list has its number."""

    channel: ChannelName
    target: str
    message_id: str


@dataclass(frozen=True, slots=True)
class DueList:
    """A delivery that this worker has leased, with all that sending it takes."""

    delivery_id: int
    staff_id: str
    target: str
    message_id: str
    attempts: int
    created_at: datetime
    message: Message
    address: str | None
    secret: str | None

    def __repr__(self) -> str:
        return f"DueList(delivery_id={self.delivery_id})"


@dataclass(frozen=True, slots=True)
class Meant:
    """Whose lists are looked for: people with one of the roles within a prefix of divisions, but not within others."""

    week: date
    roles: Collection[str]
    within: str
    without: Collection[str]


class ListTransaction:
    """What may be done inside one transaction of the maker of lists; nothing here commits."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def unmade(self, meant: Meant, most: int) -> list[StaffMember]:
        """Return up to `most` people whose list of the week is still to be made, without their channels."""
        is_made = exists().where(
            weekly_list.c.staff_id == staff.c.staff_id,
            weekly_list.c.division == staff.c.division,
            weekly_list.c.week == meant.week,
        )
        found = await self._connection.execute(
            select(staff.c.staff_id, staff.c.role, staff.c.division)
            .where(
                staff.c.active,
                staff.c.role.in_(list(meant.roles)),
                staff.c.division.startswith(meant.within, autoescape=True),
                *(~staff.c.division.startswith(prefix, autoescape=True) for prefix in meant.without),
                ~is_made,
            )
            .order_by(staff.c.staff_id)
            .limit(most)
        )
        return [StaffMember(row.staff_id, row.role, row.division, ()) for row in found]

    async def register(self, divisions: Iterable[str], at: datetime) -> Register:
        """Return the people of these divisions and all above them, and who is at their post then."""
        return await read_register_at(self._connection, {code for one in divisions for code in ancestors(one)}, at)

    async def households(self, prefixes: Iterable[str], grades: Iterable[RiskGrade]) -> dict[str, list[Listed]]:
        """Return the households that hold one of the grades now, by prefix of divisions."""
        by_length: dict[int, set[str]] = {}
        for prefix in prefixes:
            by_length.setdefault(len(prefix), set()).add(prefix)
        wanted = [int(grade) for grade in grades]
        found: dict[str, list[Listed]] = {}
        for digits, some in by_length.items():
            values = {"digits": digits, "prefixes": sorted(some), "grades": wanted}
            for row in await self._connection.execute(_HOUSEHOLDS, values):
                found.setdefault(row.prefix, []).append(Listed(row.household_id, row.alias, RiskGrade(row.grade)))
        return found

    async def save(self, lists: Sequence[tuple[ListRow, Sequence[ListDeliveryRow]]]) -> list[ListRow]:
        """Store lists with their deliveries; return those that nobody else has stored meanwhile."""
        statement = upsert(weekly_list).values([asdict(row) for row, _ in lists]).on_conflict_do_nothing()
        columns = (weekly_list.c.list_id, weekly_list.c.staff_id, weekly_list.c.division)
        stored = await self._connection.execute(statement.returning(*columns))
        numbers = {(row.staff_id, row.division): row.list_id for row in stored}
        ours = [(row, some) for row, some in lists if (row.staff_id, row.division) in numbers]
        deliveries = [
            asdict(one)
            | {
                "list_id": numbers[row.staff_id, row.division],
                "status": DeliveryStatus.PENDING,
                "next_attempt_at": row.made_at,
                "created_at": row.made_at,
            }
            for row, some in ours
            for one in some
        ]
        if deliveries:
            await self._connection.execute(insert(list_delivery), deliveries)
        return [row for row, _ in ours]


class Lists:
    """Opens the maker's transactions; leases and concludes deliveries of lists."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ListTransaction]:
        """Run one transaction. Raises TemporaryFailure."""
        async with transaction(self._engine) as connection:
            yield ListTransaction(connection)

    async def claim(
        self, channel: ChannelName, worker: str, *, now: datetime, lease: timedelta, most: int
    ) -> list[DueList]:
        """Lease up to `most` due deliveries, as many as the channel's limits let through; alerts go first."""
        limits = LIMITS.get(channel)
        values = {"channel": channel, "worker": worker, "now": now, "leased_until": now + lease, "most": most}
        async with transaction(self._engine) as connection:
            if limits:
                await one_at_a_time(connection, channel)
            rows: Sequence[Row[Any]] = (await connection.execute(_CLAIM, values)).all()
            if limits:
                claimed = {row.delivery_id for row in rows}
                rows = await within_budget(connection, rows, limits, now)
                await _release(connection, claimed - {row.delivery_id for row in rows})
        return [_due(row) for row in rows]

    async def conclude(self, due: DueList, worker: str, attempt: Attempt, verdict: Verdict, now: datetime) -> None:
        """Store how an attempt ended. It counts only while the lease is ours, unless the message was taken."""
        is_sent = verdict.status is DeliveryStatus.SENT
        ours = [list_delivery.c.list_delivery_id == due.delivery_id, list_delivery.c.status == DeliveryStatus.PENDING]
        if not is_sent:
            ours.append(list_delivery.c.leased_by == worker)
        async with transaction(self._engine) as connection:
            if attempt.pauses_target:
                await pause(connection, due.target, now + timedelta(seconds=attempt.retry_after_seconds or 0.0))
            await connection.execute(
                update(list_delivery)
                .where(*ours)
                .values(
                    status=verdict.status,
                    attempts=list_delivery.c.attempts + 1,
                    next_attempt_at=verdict.next_attempt_at or list_delivery.c.next_attempt_at,
                    leased_until=None,
                    leased_by=None,
                    receipt=attempt.receipt,
                    detail=attempt.code,
                    sent_at=now if is_sent else None,
                )
            )


def _due(row: Row[Any]) -> DueList:
    values = dict(row._mapping)
    message = Message(values.pop("subject"), values.pop("text"), values.pop("body"), values.pop("brief"))
    del values["grade"]
    return DueList(message=message, **values)


async def _release(connection: AsyncConnection, delivery_ids: Collection[int]) -> None:
    if delivery_ids:
        ours = list_delivery.c.list_delivery_id.in_(delivery_ids)
        await connection.execute(update(list_delivery).where(ours).values(leased_until=None, leased_by=None))
