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


_LOWEST_BROKEN = tuple(HOUSING_C if place == HOUSE else 1 for place in range(5))


def lowest_broken(guarantee: int) -> int:
    """From which rank on a guarantee counts as broken."""
    return _LOWEST_BROKEN[guarantee]


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
                if rank >= _LOWEST_BROKEN[place]
                else Guarantee(rank, 0, 0)
                if rank
                else HELD
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
        return [state for state, least in zip(self.states, _LOWEST_BROKEN, strict=True) if state[0] >= least]

    def next_overdue(self, day: int, overdue_days: int) -> list[int]:
        """Days after `day` on which a broken guarantee becomes overdue."""
        broken = [self.states[place] for place in _TIMED if self.states[place].rank]
        return [state.since + overdue_days for state in broken if state.since + overdue_days > day]


__all__ = ["EDUCATION", "FOOD", "HOUSE", "MEDICAL", "WATER", "Guarantee", "Guarantees"]
