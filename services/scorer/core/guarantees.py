"""The five guarantees: which are broken, since when, and by what cause."""

from __future__ import annotations

from typing import NamedTuple

from services.scorer.core.baseline import Baseline
from services.scorer.core.evidence import (
    CAUSE_RANKS,
    EDUCATION,
    FOOD,
    HOUSE,
    HOUSING_C,
    MEDICAL,
    WATER,
)

# Cause of a guarantee that the baseline itself reports broken.
_OWN_CAUSES = tuple(CAUSE_RANKS[cause] for cause in ("other", "education", "illness", "housing", "water"))
_TIMED = (EDUCATION, WATER)


class Guarantee(NamedTuple):
    """rank: 0 = ok; the house: its place in ok < A < B < C < D < destroyed. since, cause: only while broken."""

    rank: int
    since: int
    cause: int


HELD = Guarantee(0, 0, 0)


def lowest_broken(guarantee: int) -> int:
    """From which rank on a guarantee counts as broken."""
    return HOUSING_C if guarantee == HOUSE else 1


class Guarantees:
    """The state of all five, folded over reports in their order."""

    __slots__ = ("states",)

    def __init__(self, states: list[Guarantee]) -> None:
        self.states = states

    @classmethod
    def of(cls, baseline: Baseline) -> Guarantees:
        """As the baseline has them: broken there means broken since its day."""
        return cls(
            [
                Guarantee(rank, baseline.as_of, _OWN_CAUSES[place])
                if rank >= lowest_broken(place)
                else Guarantee(rank, 0, 0)
                for place, rank in enumerate(baseline.guarantees)
            ]
        )

    def copy(self) -> Guarantees:
        """An independent copy."""
        return Guarantees(self.states[:])

    def report(self, place: int, rank: int, day: int, cause: int, *, worsens_only: bool = False) -> None:
        """Take a report; while a guarantee stays broken, its day and cause are those of the first report."""
        before = self.states[place]
        if worsens_only and rank <= before.rank:
            return
        threshold = lowest_broken(place)
        if rank < threshold:
            self.states[place] = Guarantee(rank, 0, 0)
        elif before.rank >= threshold:
            self.states[place] = Guarantee(rank, before.since, before.cause)
        else:
            self.states[place] = Guarantee(rank, day, cause)

    def restore(self, place: int) -> None:
        """The guarantee holds again."""
        self.states[place] = HELD

    def broken(self) -> list[Guarantee]:
        """The broken ones, in the order of reports."""
        return [state for place, state in enumerate(self.states) if state.rank >= lowest_broken(place)]

    def overdue_from(self, place: int, overdue_days: int) -> int | None:
        """Day from which a broken guarantee is overdue; None while it holds."""
        state = self.states[place]
        return state.since + overdue_days if state.rank >= lowest_broken(place) else None

    def next_overdue(self, day: int, overdue_days: int) -> list[int]:
        """Days after `day` on which a broken guarantee becomes overdue."""
        found = (self.overdue_from(place, overdue_days) for place in _TIMED)
        return [due for due in found if due is not None and due > day]


__all__ = ["EDUCATION", "FOOD", "HOUSE", "MEDICAL", "WATER", "Guarantee", "Guarantees"]
