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
    NEVER,
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
    """The state of all five, folded over reports in their order. Never changed: a report makes another."""

    __slots__ = ("states",)

    def __init__(self, states: tuple[Guarantee, ...]) -> None:
        self.states = states

    @classmethod
    def of(cls, baseline: Baseline) -> Guarantees:
        """As the baseline has them: broken there means broken since its day."""
        return cls(
            tuple(
                Guarantee(rank, baseline.as_of, _OWN_CAUSES[place])
                if rank >= _LOWEST_BROKEN[place]
                else Guarantee(rank, 0, 0)
                if rank
                else HELD
                for place, rank in enumerate(baseline.guarantees)
            )
        )

    def reported(self, place: int, rank: int, day: int, cause: int, *, worsens_only: bool = False) -> Guarantees:
        """After a report; while a guarantee stays broken, its day and cause are those of the first report."""
        before = self.states[place]
        if worsens_only and rank <= before.rank:
            return self
        threshold = lowest_broken(place)
        if rank < threshold:
            return self._with(place, Guarantee(rank, 0, 0))
        if before.rank >= threshold:
            return self._with(place, Guarantee(rank, before.since, before.cause))
        return self._with(place, Guarantee(rank, day, cause))

    def restored(self, place: int) -> Guarantees:
        """The guarantee holds again."""
        return self._with(place, HELD)

    def _with(self, place: int, state: Guarantee) -> Guarantees:
        return Guarantees((*self.states[:place], state, *self.states[place + 1 :]))

    @property
    def broken(self) -> list[Guarantee]:
        """The broken ones, in the order of reports."""
        if self.states == _ALL_HELD:
            return []
        return [state for state, least in zip(self.states, _LOWEST_BROKEN, strict=True) if state[0] >= least]

    def next_overdue(self, day: int, overdue_days: int) -> int:
        """First day after `day` on which a broken guarantee becomes overdue; NEVER if there is none."""
        soonest = NEVER
        for place in _TIMED:
            rank, since, _ = self.states[place]
            if rank and day < since + overdue_days < soonest:
                soonest = since + overdue_days
        return soonest


_ALL_HELD = (HELD,) * 5
ALL_HELD = Guarantees(_ALL_HELD)

__all__ = ["ALL_HELD", "EDUCATION", "FOOD", "HOUSE", "MEDICAL", "WATER", "Guarantee", "Guarantees"]
