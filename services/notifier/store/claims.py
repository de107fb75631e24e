"""Claims: which messages a worker sends next, leased in one transaction with the turns that they cost.

A person's only due delivery is sent by itself. Several go into one digest, which is stored before anything is sent, so
that whoever repeats it sends the same bytes under the same id.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.budgets import LIMITS
from services.notifier.core.pacing import Turn, take_turn
from services.notifier.digesting import Addressee, Digesting, ToTell
from services.notifier.store.budgets import one_at_a_time, within_budget
from services.notifier.store.candidates import MOST_GATHERED, Candidate, find_candidates
from services.notifier.store.due import Due
from services.notifier.store.gathering import Lease, make_digests, read_new
from services.notifier.store.leases import lease_alone, lease_digests, take_turns
from shared.alerts import ChannelName
from shared.db.session import transaction

Room = Callable[[str], int]
"""How many more messages this process takes for a target."""


class Claims:
    """Leases what is due."""

    def __init__(self, engine: AsyncEngine, digesting: Digesting) -> None:
        self._engine = engine
        self._digesting = digesting

    async def claim(
        self,
        channel: ChannelName,
        worker: str,
        *,
        now: datetime,
        lease: timedelta,
        most: int,
        busy: Collection[str],
        room: Room | None = None,
    ) -> list[Due]:
        """Lease up to `most` messages, none to a busy target, worst first. Raises TemporaryFailure.

        For receivers with a limit, what is leased counts as sent.
        """
        limits, held = LIMITS.get(channel), Lease(channel, worker, now, now + lease)
        async with transaction(self._engine) as connection:
            if limits:
                await one_at_a_time(connection, channel)
            found = await find_candidates(connection, channel, limited=bool(limits), busy=busy, now=now)
            chosen = _choose(found, most, room or (lambda _: most))
            if limits:
                chosen = await within_budget(connection, chosen, limits, now)
            dues = await self._lease(connection, chosen, held) if chosen else []
        return sorted(dues, key=lambda due: (-due.lines[0].grade, due.lines[0].created_at, due.lines[0].delivery_id))

    async def _lease(self, connection: AsyncConnection, chosen: Sequence[Candidate], lease: Lease) -> list[Due]:
        again = [one.digest_id for one in chosen if one.digest_id is not None]
        alone = [one for one in chosen if one.delivery_id is not None and one.waiting == 1]
        several = {one.staff_id: one for one in chosen if one.is_new and one.waiting > 1}
        told = await read_new(connection, several, lease) if several else {}
        gathered = [(several[staff_id], lines) for staff_id, lines in told.items() if len(lines) > 1]
        # All but one may have been superseded in this very moment.
        rest = {lines[0].line.delivery_id: several[staff_id] for staff_id, lines in told.items() if len(lines) == 1}
        by_id = {one.delivery_id: one for one in alone if one.delivery_id is not None} | rest
        costs = {delivery_id: self._turn(one, lease) for delivery_id, one in by_id.items() if one.is_new}
        return [
            *await lease_alone(connection, by_id, costs, lease),
            *await lease_digests(connection, again, lease),
            *await self._digests(connection, gathered, lease),
        ]

    async def _digests(
        self, connection: AsyncConnection, gathered: Iterable[tuple[Candidate, Sequence[ToTell]]], lease: Lease
    ) -> list[Due]:
        gathered = list(gathered)
        if not gathered:
            return []
        await take_turns(connection, {one.staff_id: self._turn(one, lease) for one, _ in gathered}, lease)
        people = [(Addressee(one.staff_id, lease.channel, one.division), lines) for one, lines in gathered]
        return await make_digests(connection, people, self._digesting, lease)

    def _turn(self, one: Candidate, lease: Lease) -> Turn:
        pace = self._digesting.pace(one.division, lease.channel, one.in_force, lease.now)
        return take_turn(one.recent or (), pace, lease.now)


def _choose(found: Iterable[Candidate], most: int, room: Room) -> list[Candidate]:
    """Take the worst for which there is room; with digests of thousands, few at a time."""
    chosen: list[Candidate] = []
    by_target: Counter[str] = Counter()
    gathered = 0
    for one in found:
        is_too_long = bool(chosen) and gathered + one.waiting > MOST_GATHERED
        if len(chosen) < most and not is_too_long and by_target[one.target] < room(one.target):
            chosen.append(one)
            by_target[one.target] += 1
            gathered += one.waiting
    return chosen
