"""Make, end and list silences, each within the caller's own divisions and within what the policies allow."""

from datetime import datetime

from services.notifier.auth import Caller
from services.notifier.core.routing import prefix_of
from services.notifier.core.silencing import NewSilence, Silence, objections
from services.notifier.store.rosters import Rosters
from services.notifier.store.silences import Silences
from shared.clock import Clock, day_of
from shared.errors import Fault, RefusedRequest
from shared.grades import RiskGrade
from shared.logs import get_logger
from shared.policy import Delivery, Policies
from shared.silences import SilenceShown, SilenceWanted

log = get_logger(__name__)


class KeepSilent:
    """People's and programs' acts on silences. Each raises RefusedRequest, with what to change."""

    def __init__(self, store: Silences, rosters: Rosters, clock: Clock, policies: Policies) -> None:
        self._store = store
        self._rosters = rosters
        self._clock = clock
        self._policies = policies

    async def add(self, caller: Caller, wanted: SilenceWanted) -> SilenceShown:
        """Make a silence; the caller answers for it."""
        division = wanted.division or await self._rosters.division_of(wanted.household_id or "")
        if division is None:
            detail = "neither the books nor an alert knows this household"
            raise RefusedRequest("invalid-request", detail, faults=[Fault("/household_id", "not_known", detail)])
        if not prefix_of(division).startswith(caller.reach):
            raise RefusedRequest("forbidden", "a silence lies within the caller's own division")
        now, grades = self._clock.now(), frozenset(RiskGrade.from_code(code) for code in wanted.grades)
        rules = self._rules_within(division, now, of_one=wanted.household_id is not None)
        faults = [Fault(f"/{one.field}", one.code, one.detail) for one in objections(grades, now, wanted.until, rules)]
        if faults:
            raise RefusedRequest("invalid-request", faults[0].detail, faults=faults)
        made = await self._store.add(
            NewSilence(division, wanted.household_id, grades, caller.actor, wanted.reason, now, wanted.until)
        )
        log.warning("a silence was made", silence=made.silence_id, division=division, owner=caller.actor)
        return shown(made, now)

    async def end(self, caller: Caller, silence_id: int) -> SilenceShown:
        """End a silence; what it kept from people is told within seconds. Ending it twice changes nothing."""
        now = self._clock.now()
        if await self._store.find(caller.reach, silence_id) is None:
            raise RefusedRequest("not-found")
        if await self._store.end(silence_id, caller.actor, now):
            log.info("a silence was ended", silence=silence_id, by=caller.actor)
        ended = await self._store.find(caller.reach, silence_id)
        assert ended is not None
        return shown(ended, now)

    async def newest(self, caller: Caller, most: int) -> list[SilenceShown]:
        """Return the caller's silences, those that are over too."""
        now = self._clock.now()
        return [shown(one, now) for one in await self._store.newest(caller.reach, most)]

    def _rules_within(self, division: str, now: datetime, *, of_one: bool) -> list[Delivery]:
        """What each jurisdiction says that a silence would touch: its own, and unless of one household all below."""
        books = [self._policies.for_division(division)]
        if not of_one:
            within = prefix_of(division)
            books += [book for prefix, book in self._policies.books.items() if prefix.startswith(within)]
        return [book.on(day_of(now)).delivery for book in books]


def shown(silence: Silence, now: datetime) -> SilenceShown:
    """Return a silence as clients see it."""
    return SilenceShown(
        id=silence.silence_id,
        division=silence.division,
        household_id=silence.household_id,
        grades=tuple(grade.code for grade in sorted(silence.grades)),
        owner=silence.owner,
        reason=silence.reason,
        created_at=silence.created_at,
        until=silence.until_at,
        ended_at=silence.ended_at,
        ended_by=silence.ended_by,
        in_force=silence.in_force(now),
    )
