"""Counts what must not be there: changes that nobody heard of, alerts without a receipt, deliveries that hang."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notifier.core.holding import Held
from shared.alerts import UNDER_WAY
from shared.db.session import transaction
from shared.grades import RiskGrade

_UNTOLD = text(
    """
    SELECT change.household_id, change.version FROM grade_change_history AS change
    WHERE change.decided_at > :since AND change.decided_at < :until
      AND change.new_grade = :red AND coalesce(change.old_grade, 0) < :red
      AND NOT EXISTS (
        SELECT 1 FROM alert WHERE alert.household_id = change.household_id AND household_version >= change.version
      )
    ORDER BY change.decided_at LIMIT :most
    """
)
_WITHOUT_RECEIPT = text(
    """
    SELECT count(*) FROM alert
    WHERE status = ANY(CAST(:under_way AS text[])) AND opened_at < :until AND untold IS NULL
      AND NOT EXISTS (
        SELECT 1 FROM delivery WHERE delivery.alert_id = alert.alert_id
          AND (status = 'sent' OR status = 'pending' AND held IS NOT NULL
               AND coalesce(held_until, next_attempt_at) >= :until)
      )
    """
)
# What has not been due for the first time yet waits by policy.
_OVERDUE = text(
    """
    SELECT count(*) FROM (
        SELECT created_at, attempts, next_attempt_at, held, held_until FROM delivery
        WHERE status = 'pending' AND digest_id IS NULL
        UNION ALL
        SELECT d.created_at, d.attempts, d.next_attempt_at, d.held, d.held_until
        FROM digest AS g JOIN delivery AS d USING (digest_id)
        WHERE g.status = 'pending' AND d.status = 'pending'
    ) AS pending
    WHERE created_at < :until AND NOT (attempts = 0 AND next_attempt_at > :until)
      AND (held IS NULL OR coalesce(held_until, next_attempt_at) < :until)
    """
)
# What is in a digest waits no more; saying so leads to an index.
_WAITING = text(
    """
    SELECT held, count(DISTINCT (alert_id, revision, staff_id)) AS tellings FROM delivery
    WHERE status = 'pending' AND digest_id IS NULL AND held IS NOT NULL
      AND coalesce(held_until, next_attempt_at) >= :until
    GROUP BY held
    """
)
_OVERDUE_TIMERS = text("SELECT count(*) FROM alert WHERE timer_at < :until")
MOST = 1_000


@dataclass(frozen=True, slots=True)
class Untold:
    """A change to red, older than it may be, of which no alert knows."""

    household_id: str
    version: int


@dataclass(frozen=True, slots=True)
class Shortcomings:
    """What was found. untold: at most MOST, oldest first. waiting: tellings that are held, by why; no shortcoming."""

    untold: list[Untold]
    without_receipt: int
    overdue: int
    overdue_timers: int
    waiting: Mapping[Held, int]


class Reconciling:
    """Reads only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def shortcomings(self, *, since: datetime, until: datetime) -> Shortcomings:
        """Look at changes decided between the two, and at what was begun before `until`. Raises TemporaryFailure."""
        between = {"since": since, "until": until}
        async with transaction(self._engine) as connection:
            changes = await connection.execute(_UNTOLD, {**between, "red": int(RiskGrade.RED), "most": MOST})
            untold = [Untold(row.household_id, row.version) for row in changes]
            under_way = {"under_way": [str(status) for status in UNDER_WAY], "until": until}
            without_receipt = (await connection.execute(_WITHOUT_RECEIPT, under_way)).scalar_one()
            overdue = (await connection.execute(_OVERDUE, {"until": until})).scalar_one()
            overdue_timers = (await connection.execute(_OVERDUE_TIMERS, {"until": until})).scalar_one()
            waiting = {Held(row.held): row.tellings for row in await connection.execute(_WAITING, {"until": until})}
        return Shortcomings(untold, without_receipt, overdue, overdue_timers, waiting)
