"""Find the hours in which the alert of a village would reach nobody, or nobody but duty officers."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise

from services.notifier.core.routing import Routing, prefix_of
from services.notifier.store.rows import Register
from shared.clock import SHANGHAI, day_of
from shared.policy import Role

VILLAGE_DIGITS = 12


class Reach(StrEnum):
    """Who is left to hear."""

    NOBODY = "nobody"
    DUTY_OFFICERS_ALONE = "duty_officers_alone"


@dataclass(frozen=True, slots=True)
class Gap:
    """A village is ill served from from_at (included) to to_at (not any more)."""

    division: str
    from_at: datetime
    to_at: datetime
    reach: Reach

    @property
    def hours(self) -> float:
        """How long it lasts."""
        return (self.to_at - self.from_at) / timedelta(hours=1)


def villages_of(divisions: Collection[str]) -> list[str]:
    """Return the villages among some divisions, in the order of their codes."""
    return sorted(code for code in divisions if len(prefix_of(code)) == VILLAGE_DIGITS)


def find_gaps(
    register: Register,
    villages: Collection[str],
    start: datetime,
    end: datetime,
    roles: Callable[[str, datetime], Sequence[Role]],
) -> Iterator[Gap]:
    """Yield the gaps of each village between two instants, in order.

    register: with who is at their post between the two. roles: whom the policy names in a division at an instant.
    """
    for village in villages:
        near = register.around(village)
        gap: Gap | None = None
        # Between two of these instants nobody comes or goes, and the policy stays the same.
        for begins, ends in pairwise([start, *sorted({*near.rota.turns(start, end), *_midnights(start, end)}), end]):
            reach = _reach(near.route(village, roles(village, begins), begins))
            if gap is not None and gap.reach is reach:
                gap = replace(gap, to_at=ends)
                continue
            if gap is not None:
                yield gap
            gap = None if reach is None else Gap(village, begins, ends, reach)
        if gap is not None:
            yield gap


def _midnights(start: datetime, end: datetime) -> Iterator[datetime]:
    day = day_of(start) + timedelta(days=1)
    while (midnight := datetime.combine(day, time(), SHANGHAI)) < end:
        yield midnight
        day += timedelta(days=1)


def _reach(routing: Routing) -> Reach | None:
    if not routing.recipients:
        return Reach.NOBODY
    officers = {one.staff_id for one in routing.verdicts if one.role == "duty_officer"}
    alone = all((one.instead_of or one.staff_id) in officers for one in routing.recipients)
    return Reach.DUTY_OFFICERS_ALONE if alone else None
