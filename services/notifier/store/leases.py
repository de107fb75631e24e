"""Leases on what is sent: single deliveries, and digests that were written before."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.pacing import Turn
from services.notifier.store.due import Due, due_of, line_of
from services.notifier.store.gathering import Lease
from shared.db.one_of import one_of
from shared.db.session import transaction
from shared.db.tables.notifier import delivery, digest

# What somebody else has leased meanwhile is left out.
_ALONE = text(
    """
    WITH mine AS MATERIALIZED (
        SELECT delivery_id, alert_id, revision, staff_id, channel FROM delivery
        WHERE delivery_id = ANY (CAST(:ids AS bigint[])) AND status = 'pending' AND digest_id IS NULL
          AND (leased_until IS NULL OR leased_until <= :now)
        FOR UPDATE SKIP LOCKED
    )
    UPDATE delivery AS d SET leased_until = :leased_until, leased_by = :worker
    FROM mine
    JOIN alert AS a ON a.alert_id = mine.alert_id
    JOIN alert_message AS m ON m.alert_id = mine.alert_id AND m.revision = mine.revision
    JOIN staff AS s ON s.staff_id = mine.staff_id
    LEFT JOIN contact AS c
      ON c.staff_id = mine.staff_id AND c.channel = mine.channel AND s.active AND c.disabled_at IS NULL
    WHERE d.delivery_id = mine.delivery_id
    RETURNING d.delivery_id, d.alert_id, d.revision, d.staff_id, d.channel, d.reason, d.grade, d.target, d.message_id,
              d.status, d.attempts, greatest(d.created_at, d.held_until) AS created_at, d.leased_by,
              m.subject, m.text, m.body, m.brief, greatest(m.decided_at, d.held_until) AS decided_at,
              a.status AS alert_status, a.acknowledged_revision, a.division, c.address, c.secret
    """
)
_TAKE_TURNS = text(
    """
    UPDATE person_turn AS t
    SET recent = t.recent[cardinality(t.recent) - turn.kept + 1 :] || CAST(:now AS timestamptz),
        free_at = turn.free_at, milder_free_at = turn.milder_free_at
    FROM unnest(
        CAST(:staff_ids AS text[]), CAST(:kept AS integer[]),
        CAST(:free_ats AS timestamptz[]), CAST(:milder_free_ats AS timestamptz[])
    ) AS turn (staff_id, kept, free_at, milder_free_at)
    WHERE t.staff_id = turn.staff_id AND t.channel = :channel
    """
)
_DIGESTS = text(
    """
    WITH mine AS MATERIALIZED (
        SELECT digest_id, staff_id, channel FROM digest
        WHERE digest_id = ANY (CAST(:ids AS text[])) AND status = 'pending'
          AND (leased_until IS NULL OR leased_until <= :now)
        FOR UPDATE SKIP LOCKED
    )
    UPDATE digest AS g SET leased_until = :leased_until, leased_by = :worker
    FROM mine
    JOIN staff AS s ON s.staff_id = mine.staff_id
    LEFT JOIN contact AS c
      ON c.staff_id = mine.staff_id AND c.channel = mine.channel AND s.active AND c.disabled_at IS NULL
    WHERE g.digest_id = mine.digest_id
    RETURNING g.digest_id, g.staff_id, g.channel, g.target, g.message_id, g.attempts, g.leased_by,
              g.subject, g.text, g.body, g.brief, c.address, c.secret
    """
)
_LINES = text(
    """
    SELECT d.digest_id, d.delivery_id, d.alert_id, d.revision, d.reason, d.grade, d.status,
           greatest(d.created_at, d.held_until) AS created_at, greatest(m.decided_at, d.held_until) AS decided_at,
           a.division, a.status AS alert_status, a.acknowledged_revision
    FROM delivery AS d
    JOIN alert AS a ON a.alert_id = d.alert_id
    JOIN alert_message AS m ON m.alert_id = d.alert_id AND m.revision = d.revision
    WHERE d.digest_id = ANY (CAST(:ids AS text[]))
    ORDER BY d.grade DESC, d.delivery_id
    """
)


async def lease_alone(
    connection: AsyncConnection, delivery_ids: Collection[int], turns: Mapping[int, Turn], lease: Lease
) -> list[Due]:
    """Lease single deliveries. turns: what those that nobody has begun yet cost their people, by delivery_id."""
    if not delivery_ids:
        return []
    rows = (await connection.execute(_ALONE, _values(delivery_ids, lease))).mappings().all()
    # What another has leased costs its person no turn.
    begun = {row["staff_id"]: turns[row["delivery_id"]] for row in rows if row["delivery_id"] in turns}
    await take_turns(connection, begun, lease)
    return [due_of(row, (line_of(row),)) for row in rows]


async def take_turns(connection: AsyncConnection, turns: Mapping[str, Turn], lease: Lease) -> None:
    """Count a message that begins now for each of these people (by staff_id), whose turns are ours."""
    if turns:
        values = {
            "channel": lease.channel,
            "now": lease.now,
            "staff_ids": list(turns),
            "kept": [len(turn.recent) - 1 for turn in turns.values()],
            "free_ats": [turn.free_at for turn in turns.values()],
            "milder_free_ats": [turn.milder_free_at for turn in turns.values()],
        }
        await connection.execute(_TAKE_TURNS, values)


async def lease_digests(connection: AsyncConnection, digest_ids: Collection[str], lease: Lease) -> list[Due]:
    """Lease digests that somebody has begun before, with how each of their deliveries stands now."""
    if not digest_ids:
        return []
    rows = (await connection.execute(_DIGESTS, _values(digest_ids, lease))).mappings().all()
    lines: dict[str, list[Any]] = {row["digest_id"]: [] for row in rows}
    for row in (await connection.execute(_LINES, {"ids": list(lines)})).mappings():
        lines[row["digest_id"]].append(line_of(row))
    return [due_of(row, tuple(lines[row["digest_id"]]), row["digest_id"]) for row in rows]


class Leases:
    """Holds on to leases, and gives them back."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def renew(self, dues: Collection[Due], until: datetime) -> None:
        """Hold on to what is still being sent; a lease that somebody else has taken meanwhile stays theirs."""
        await self._set(dues, until)

    async def release(self, dues: Collection[Due]) -> None:
        """Give leases back unused. That they were begun stays known: their turns are taken."""
        await self._set(dues, None)

    async def _set(self, dues: Collection[Due], until: datetime | None) -> None:
        holders = {due.leased_by for due in dues}
        alone = [due.lines[0].delivery_id for due in dues if due.digest_id is None]
        digests = [due.digest_id for due in dues if due.digest_id is not None]
        async with transaction(self._engine) as connection:
            if alone:
                ours = and_(one_of(delivery.c.delivery_id, alone), one_of(delivery.c.leased_by, holders))
                await connection.execute(update(delivery).where(ours).values(leased_until=until))
            if digests:
                ours = and_(one_of(digest.c.digest_id, digests), one_of(digest.c.leased_by, holders))
                await connection.execute(update(digest).where(ours).values(leased_until=until))


def _values(ids: Collection[int] | Collection[str], lease: Lease) -> dict[str, Any]:
    return {"ids": list(ids), "now": lease.now, "leased_until": lease.until, "worker": lease.worker}
