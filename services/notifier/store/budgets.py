"""What receivers with a limit may still be sent, counted for all replicas together inside the claim's transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.core.budgets import Limit, grant
from services.notifier.store.candidates import Candidate
from shared.alerts import ChannelName
from shared.db.tables.notifier import send_budget

ToSend = TypeVar("ToSend", Candidate, Row[Any])
"""What has a target: a candidate, or a row with that column."""


async def one_at_a_time(connection: AsyncConnection, channel: ChannelName) -> None:
    """Let replicas claim a channel's deliveries one after the other until the transaction ends.

    Side by side, one could spend a receiver's last turns on lesser alerts while another still holds the worst.
    """
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"send budget {channel}"})


async def within_budget(
    connection: AsyncConnection, chosen: Iterable[ToSend], limits: Sequence[Limit], now: datetime
) -> list[ToSend]:
    """Return those that may be sent now, and count them as sent.

    chosen: worst first.
    """
    by_target: dict[str, list[ToSend]] = {}
    for one in chosen:
        by_target.setdefault(one.target, []).append(one)
    granted: list[ToSend] = []
    # In one order, so that two replicas never wait for each other.
    for target in sorted(by_target):
        wanted = by_target[target]
        granted += wanted[: await _take(connection, target, limits, len(wanted), now)]
    return granted


async def pause(connection: AsyncConnection, target: str, until: datetime) -> None:
    """Send nothing to a receiver that called us too fast."""
    statement = upsert(send_budget).values(target=target, recent=[], free_at=until)
    later = func.greatest(send_budget.c.free_at, statement.excluded.free_at)
    await connection.execute(statement.on_conflict_do_update(index_elements=["target"], set_={"free_at": later}))


async def _take(connection: AsyncConnection, target: str, limits: Sequence[Limit], wanted: int, now: datetime) -> int:
    fresh = upsert(send_budget).values(target=target, recent=[], free_at=now)
    await connection.execute(fresh.on_conflict_do_nothing())
    found = await connection.execute(select(send_budget).where(send_budget.c.target == target).with_for_update())
    budget = found.one()
    if budget.free_at > now:
        return 0
    made = grant(budget.recent, limits, wanted, now)
    changed = update(send_budget).where(send_budget.c.target == target)
    await connection.execute(changed.values(recent=list(made.recent), free_at=made.free_at))
    return made.granted
