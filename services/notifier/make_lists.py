"""Make the weekly lists when their time has come: for each person of the roles that the policy names, once a week.

Each list is a row that is there once it was made, so it does not matter how often anybody looks, or how many do.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime

from services.notifier.core.message import message_id
from services.notifier.core.routing import StaffMember, reach_of
from services.notifier.core.weekly import Listed, Place, compose_list, week_due
from services.notifier.core.words import Wording
from services.notifier.metrics import NotifierMetrics
from services.notifier.store.lists import ListDeliveryRow, ListRow, Lists, Meant
from services.notifier.store.rows import Register
from shared.alerts import ChannelName
from shared.clock import Clock, day_of
from shared.errors import TemporaryFailure
from shared.grades import RiskGrade
from shared.lifecycle import every
from shared.logs import get_logger
from shared.policy import Policies, Policy, Role

log = get_logger(__name__)

LOOK_EVERY_SECONDS = 20.0
BATCH = 500
NOT_BY = frozenset({ChannelName.ALIYUN_SMS})
"""An approved text message can say an alert and nothing else."""


class MakeLists:
    """A supervised task."""

    def __init__(
        self,
        store: Lists,
        policies: Policies,
        clock: Clock,
        metrics: NotifierMetrics,
        *,
        public_url: str,
        wording: Wording,
        on_lists: Callable[[], None],
    ) -> None:
        self._store = store
        self._policies = policies
        self._clock = clock
        self._metrics = metrics
        self._public_url = public_url
        self._wording = wording
        self._on_lists = on_lists

    async def run(self, stop: asyncio.Event) -> None:
        """Look for lists to make until stopped."""
        await every(LOOK_EVERY_SECONDS, self._once, stop)

    async def _once(self) -> bool:
        try:
            return bool(await self.make_due())
        except TemporaryFailure as failure:
            log.warning("weekly lists wait", reason=str(failure))
            return False

    async def make_due(self) -> int:
        """Make the lists whose time has come, some at a time; return how many were made. Raises TemporaryFailure."""
        now, made = self._clock.now(), 0
        for prefix, book in self._policies.books.items():
            policy = book.on(day_of(now))
            week = week_due(policy.weekly_list, policy.delivery, now)
            if week is not None:
                made += await self._make(self._meant(prefix, policy, week), policy, now)
        return made

    def _meant(self, prefix: str, policy: Policy, week: date) -> Meant:
        roles = {role for named in policy.weekly_list.routing.values() for role in named}
        others = [one for one in self._policies.books if one != prefix and one.startswith(prefix)]
        return Meant(week, roles, prefix, others)

    async def _make(self, meant: Meant, policy: Policy, now: datetime) -> int:
        if not meant.roles:
            return 0
        async with self._store.transaction() as tx:
            people = await tx.unmade(meant, BATCH)
            if not people:
                return 0
            register = await tx.register((person.division for person in people), now)
            prefixes = {person.staff_id: reach_of(person.role, person.division) for person in people}
            households = await tx.households(prefixes.values(), _grades_of(policy))
            drafts = [
                self._draft(person, households.get(prefixes[person.staff_id], ()), register, policy, meant.week, now)
                for person in people
            ]
            stored = await tx.save(drafts)
        self._report(stored)
        return len(stored)

    def _draft(
        self,
        person: StaffMember,
        households: Sequence[Listed],
        register: Register,
        policy: Policy,
        week: date,
        now: datetime,
    ) -> tuple[ListRow, list[ListDeliveryRow]]:
        listed = [one for one in households if person.role in policy.weekly_list.routing.get(one.grade.code, ())]
        receiver, channels = _receiver(person, register, now)
        row = ListRow(person.staff_id, person.division, week, now, receiver, len(listed))
        if receiver is None or not listed:
            return row, []
        place = Place(person.division, register.names.get(person.division, person.division))
        looks = {grade: policy.look(grade) for grade in RiskGrade}
        message = compose_list(week, place, listed, looks, self._public_url, self._wording)
        row = ListRow(
            *(person.staff_id, person.division, week, now, receiver, len(listed)),
            *(message.subject, message.text, message.body, message.brief),
        )
        name = f"list/{week}/{person.staff_id}/{person.division}"
        return row, [
            ListDeliveryRow(channel, register.target(receiver, channel), message_id(name, 1, receiver, channel))
            for channel in channels
        ]

    def _report(self, stored: Sequence[ListRow]) -> None:
        for row in stored:
            outcome = "empty" if not row.households else "no_channel" if row.told is None else "made"
            self._metrics.lists.labels(outcome).inc()
        if any(row.subject is not None for row in stored):
            self._on_lists()


def _grades_of(policy: Policy) -> list[RiskGrade]:
    return [RiskGrade.from_code(code) for code in policy.weekly_list.routing]


def _receiver(person: StaffMember, register: Register, now: datetime) -> tuple[str | None, tuple[ChannelName, ...]]:
    """Who gets a person's list, and by what: the person, or while they are away who stands in for them."""
    roles: tuple[Role, ...] = (person.role,)
    if register.rota.absences_of(person.staff_id, now):
        found = register.route(person.division, roles, now).recipients
        some = [one for one in found if one.instead_of == person.staff_id]
        staff_id, channels = (some[0].staff_id, some[0].channels) if some else (None, ())
    else:
        known = {one.staff_id: one.channels for one in register.staff}
        staff_id, channels = person.staff_id, known.get(person.staff_id, ())
    usable = tuple(channel for channel in channels if channel not in NOT_BY)
    return (staff_id, usable) if usable else (None, ())
