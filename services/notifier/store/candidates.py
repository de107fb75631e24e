"""What could be sent now by one channel: the worst first, one candidate for each person, and whose turn it is.

The claims of a channel walk no further than what is due. Whoever may not be sent anything yet has what is due moved to
when they may: it is met again then, all together, and not by every claim until then.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.alerts import ChannelName
from shared.db.tables.notifier import person_turn
from shared.grades import RiskGrade

LOOK = 100
"""Rows of each grade that one look goes through."""
PEOPLE = 32
"""Candidates that one look returns."""
MOST_LOOKS = 10
MOST_GATHERED = 2_000
"""Deliveries that one claim puts into digests, unless a single person has more."""

# Each grade by itself, so that the index leads to what is due and past what waits for later. Locking the turn (SKIP
# LOCKED: replicas take different people) makes a person's claims go one after the other: a row without it is somebody
# else's at the moment. {target_free_at}: from when a receiver with a limit may be sent something.
_LOOK = """
    WITH due AS MATERIALIZED (
        SELECT one.* FROM (VALUES (4), (3), (2), (1), (0)) AS each (grade)
        CROSS JOIN LATERAL (
            SELECT delivery_id, staff_id, target, d.grade, next_attempt_at, created_at,
                   attempts = 0 AND leased_by IS NULL AS is_new
            FROM delivery AS d
            WHERE channel = :channel AND d.grade = each.grade AND status = 'pending' AND digest_id IS NULL
              AND next_attempt_at <= :now AND (leased_until IS NULL OR leased_until <= :now)
              AND (held IS NULL OR held_until <= :now) AND target <> ALL (CAST(:busy AS text[]))
            ORDER BY next_attempt_at, delivery_id
            LIMIT :look
        ) AS one
    ), lead AS MATERIALIZED (
        SELECT * FROM (
            SELECT DISTINCT ON (is_new, CASE WHEN is_new THEN staff_id ELSE delivery_id::text END) * FROM due
            ORDER BY is_new, CASE WHEN is_new THEN staff_id ELSE delivery_id::text END,
                     grade DESC, next_attempt_at, delivery_id
        ) AS firsts
        ORDER BY grade DESC, next_attempt_at, delivery_id
        LIMIT :people
    ), turn AS MATERIALIZED (
        SELECT staff_id, recent, free_at, milder_free_at FROM person_turn
        WHERE channel = :channel AND staff_id IN (SELECT staff_id FROM lead WHERE is_new)
        FOR UPDATE SKIP LOCKED
    ), led AS MATERIALIZED (
        SELECT lead.*, CAST(NULL AS text) AS digest_id, turn.recent,
               CASE WHEN lead.grade = :red THEN turn.free_at ELSE turn.milder_free_at END AS free_at
        FROM lead LEFT JOIN turn ON is_new AND turn.staff_id = lead.staff_id
    ), found AS (
        SELECT led.*,
               is_new AND recent IS NULL AND NOT EXISTS (
                   SELECT FROM person_turn AS p WHERE p.staff_id = led.staff_id AND p.channel = :channel
               ) AS is_unknown,
               CASE WHEN is_new AND free_at <= :now THEN (
                   SELECT count(*) FROM (
                       SELECT FROM delivery AS o
                       WHERE o.staff_id = led.staff_id AND o.channel = :channel AND o.status = 'pending'
                         AND o.digest_id IS NULL AND o.next_attempt_at <= :now
                         AND o.attempts = 0 AND o.leased_by IS NULL AND (o.held IS NULL OR o.held_until <= :now)
                       LIMIT :gathered
                   ) AS waiting
               ) ELSE 1 END AS waiting
        FROM led
        UNION ALL
        SELECT * FROM (
            SELECT CAST(NULL AS bigint), staff_id, target, grade, next_attempt_at, created_at, false, digest_id,
                   CAST(NULL AS timestamptz[]), CAST(NULL AS timestamptz), false, 1
            FROM digest
            WHERE channel = :channel AND status = 'pending' AND next_attempt_at <= :now
              AND (leased_until IS NULL OR leased_until <= :now) AND target <> ALL (CAST(:busy AS text[]))
            ORDER BY grade DESC, next_attempt_at, digest_id
            LIMIT :people
        ) AS again
    )
    SELECT found.*, staff.division, {target_free_at} AS target_free_at,
           ARRAY(
               SELECT c.channel FROM contact AS c
               WHERE c.staff_id = found.staff_id AND c.disabled_at IS NULL ORDER BY c.place
           ) AS in_force
    FROM found JOIN staff ON staff.staff_id = found.staff_id
    ORDER BY found.grade DESC, found.next_attempt_at, found.delivery_id, found.digest_id
"""
_LOOK_UNLIMITED = text(_LOOK.format(target_free_at="CAST(NULL AS timestamptz)"))
_LOOK_LIMITED = text(
    _LOOK.format(target_free_at="(SELECT b.free_at FROM send_budget AS b WHERE b.target = found.target)")
)
# SKIP LOCKED: what others are changing is moved by the next claim.
_POSTPONE_PEOPLE = text(
    """
    UPDATE delivery SET next_attempt_at = later.until
    FROM (
        SELECT d.delivery_id, people.until
        FROM unnest(CAST(:staff_ids AS text[]), CAST(:untils AS timestamptz[])) AS people (staff_id, until)
        JOIN delivery AS d ON d.staff_id = people.staff_id AND d.channel = :channel AND d.status = 'pending'
         AND d.digest_id IS NULL AND d.next_attempt_at <= :now AND d.attempts = 0 AND d.leased_by IS NULL
         AND (d.held IS NULL OR d.held_until <= :now)
        FOR UPDATE OF d SKIP LOCKED
    ) AS later
    WHERE delivery.delivery_id = later.delivery_id
    """
)
_POSTPONE_DELIVERIES = text(
    """
    UPDATE delivery SET next_attempt_at = later.until
    FROM (
        SELECT d.delivery_id, those.until
        FROM unnest(CAST(:ids AS bigint[]), CAST(:untils AS timestamptz[])) AS those (delivery_id, until)
        JOIN delivery AS d ON d.delivery_id = those.delivery_id
        WHERE d.status = 'pending' AND d.digest_id IS NULL AND (d.leased_until IS NULL OR d.leased_until <= :now)
        FOR UPDATE OF d SKIP LOCKED
    ) AS later
    WHERE delivery.delivery_id = later.delivery_id
    """
)
_POSTPONE_DIGESTS = text(
    """
    UPDATE digest SET next_attempt_at = later.until
    FROM (
        SELECT g.digest_id, those.until
        FROM unnest(CAST(:ids AS text[]), CAST(:untils AS timestamptz[])) AS those (digest_id, until)
        JOIN digest AS g ON g.digest_id = those.digest_id
        WHERE g.status = 'pending' AND (g.leased_until IS NULL OR g.leased_until <= :now)
        FOR UPDATE OF g SKIP LOCKED
    ) AS later
    WHERE digest.digest_id = later.digest_id
    """
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What could be sent: a delivery that was begun before, all that is new for one person, or a digest.

    delivery_id: None for a digest. digest_id: None for deliveries. is_new: begun by nobody, so that it needs a turn.
    recent: when messages to the person began; None while another replica holds the turn. waiting: how many new
    deliveries of the person are due. until: nothing may be sent before then; None: it may now. division, in_force: of
    the person.
    """

    delivery_id: int | None
    digest_id: str | None
    staff_id: str
    target: str
    grade: RiskGrade
    is_new: bool
    recent: Sequence[datetime] | None
    waiting: int
    until: datetime | None
    division: str
    in_force: tuple[ChannelName, ...]

    @property
    def may_go(self) -> bool:
        """Whether it may be sent now."""
        return self.until is None and (not self.is_new or self.recent is not None)


async def find_candidates(
    connection: AsyncConnection, channel: ChannelName, *, limited: bool, busy: Collection[str], now: datetime
) -> list[Candidate]:
    """Return candidates that may be sent now, none to a busy target, worst first; their people's turns are ours.

    limited: whether the channel's receivers have limits of their own.
    """
    values = {"channel": channel, "busy": list(busy), "now": now}
    values |= {"red": int(RiskGrade.RED), "look": LOOK, "people": PEOPLE, "gathered": MOST_GATHERED}
    statement = _LOOK_LIMITED if limited else _LOOK_UNLIMITED
    found: list[Candidate] = []
    for _ in range(MOST_LOOKS):
        rows: Sequence[Row[Any]] = (await connection.execute(statement, values)).all()
        if unknown := {row.staff_id for row in rows if row.is_unknown}:
            await _know(connection, channel, unknown, now)
            continue
        found = [_candidate(row, now) for row in rows]
        waiting = [one for one in found if one.until is not None]
        await _postpone(connection, channel, waiting, now)
        if not waiting:
            break
        # Behind those who must wait there may be others who need not.
    return [one for one in found if one.may_go]


async def _know(connection: AsyncConnection, channel: ChannelName, staff_ids: Iterable[str], now: datetime) -> None:
    # In one order, so that two replicas never wait for each other.
    free = {"channel": channel, "recent": [], "free_at": now, "milder_free_at": now}
    rows = [{"staff_id": one, **free} for one in sorted(staff_ids)]
    await connection.execute(upsert(person_turn).values(rows).on_conflict_do_nothing())


async def _postpone(
    connection: AsyncConnection, channel: ChannelName, waiting: Iterable[Candidate], now: datetime
) -> None:
    people: dict[str, datetime] = {}
    deliveries: dict[int, datetime] = {}
    digests: dict[str, datetime] = {}
    for one in waiting:
        if one.until is None:
            continue
        if one.is_new:
            people[one.staff_id] = one.until
        elif one.delivery_id is not None:
            deliveries[one.delivery_id] = one.until
        elif one.digest_id is not None:
            digests[one.digest_id] = one.until
    values: dict[str, Any] = {"now": now}
    if people:
        named = {"channel": channel, "staff_ids": list(people), "untils": list(people.values())}
        await connection.execute(_POSTPONE_PEOPLE, values | named)
    if deliveries:
        named = {"ids": list(deliveries), "untils": list(deliveries.values())}
        await connection.execute(_POSTPONE_DELIVERIES, values | named)
    if digests:
        await connection.execute(_POSTPONE_DIGESTS, values | {"ids": list(digests), "untils": list(digests.values())})


def _candidate(row: Row[Any], now: datetime) -> Candidate:
    waits = [at for at in (row.free_at, row.target_free_at) if at is not None and at > now]
    # While another replica holds the turn, nobody else moves what waits for it.
    is_ours = not row.is_new or row.recent is not None
    return Candidate(
        delivery_id=row.delivery_id,
        digest_id=row.digest_id,
        staff_id=row.staff_id,
        target=row.target,
        grade=RiskGrade(row.grade),
        is_new=row.is_new,
        recent=row.recent,
        waiting=row.waiting,
        until=max(waits, default=None) if is_ours else None,
        division=row.division,
        in_force=tuple(ChannelName(name) for name in row.in_force),
    )
