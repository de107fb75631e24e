"""The baseline: a household's income, labour and guarantees as last surveyed."""

from __future__ import annotations

from typing import NamedTuple

from services.scorer.core.evidence import CAUSE_RANKS, GUARANTEES, HOUSING_RANKS
from shared.events.payloads import BaselinePayload

ELEMENTS = ("economic", "cultural", "psychological", "social")
UNKNOWN = 4
"""Rating of an element nobody has rated; its place in the policy's table of points."""


class Baseline(NamedTuple):
    """Yearly amounts in fen, rents = property income; as_of an ordinal;

    self_pay: as (cause, fen); guarantees: as ranks, 0 = ok.
    """

    as_of: int
    members: int
    full: int
    weak: int
    wage: int
    operating_net: int
    rents: int
    transfer: int
    assistance: int
    self_pay: tuple[tuple[int, int], ...]
    elements: tuple[int, int, int, int]
    guarantees: tuple[int, int, int, int, int]

    @property
    def net_income(self) -> int:
        """Net income of the year in fen, before any event."""
        return self.wage + self.operating_net + self.rents + self.transfer

    @property
    def data_gaps(self) -> tuple[str, ...]:
        """Elements that nobody has rated."""
        return tuple(name for name, rating in zip(ELEMENTS, self.elements, strict=True) if rating == UNKNOWN)


def baseline_of(payload: BaselinePayload) -> Baseline:
    """Take a baseline out of its payload."""
    ratings = payload.elements
    held = payload.guarantees
    return Baseline(
        as_of=payload.as_of.toordinal(),
        members=payload.members,
        full=payload.labour_full,
        weak=payload.labour_weak,
        wage=payload.wage,
        operating_net=payload.operating_net,
        rents=payload.property,
        transfer=payload.transfer,
        assistance=payload.assistance,
        self_pay=tuple(sorted((CAUSE_RANKS[cause], fen) for cause, fen in payload.self_pay.items() if fen)),
        elements=(
            _rating(ratings.economic),
            _rating(ratings.cultural),
            _rating(ratings.psychological),
            _rating(ratings.social),
        ),
        guarantees=(
            int(held.food == "breach"),
            int(held.education == "breach"),
            int(held.medical == "breach"),
            HOUSING_RANKS.index(held.housing),
            int(held.water == "breach"),
        ),
    )


def _rating(rating: int | None) -> int:
    return UNKNOWN if rating is None else rating


assert tuple(guarantee.value for guarantee in GUARANTEES) == ("food", "education", "medical", "housing", "water")
