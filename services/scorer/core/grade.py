"""The grade of one day: worst of score and floors, weighed once with and once without unverified evidence."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import NamedTuple

from services.scorer.core.baseline import Baseline
from services.scorer.core.causes import category_of, causes_of
from services.scorer.core.evidence import Evidence
from services.scorer.core.evidence_list import EvidenceList
from services.scorer.core.figures import four_places, two_places
from services.scorer.core.floors import Standing, floors_of
from services.scorer.core.hysteresis import Held
from services.scorer.core.money import quantities_of
from services.scorer.core.score import Parts, grade_by_score, parts_of
from services.scorer.core.status import Status
from services.scorer.core.tally import Tally, silenced_by_episode
from shared.grades import PolicyRef, RiskGrade
from shared.policy import Numbers, Policy


class View(NamedTuple):
    """A household's grade in one view of the evidence."""

    standing: Standing
    parts: Parts
    floors: tuple[str, ...]
    grade: RiskGrade


class Raw(NamedTuple):
    """The grade that today's evidence gives; capped_unverified: unverified evidence alone would give another."""

    grade: RiskGrade
    view: View
    capped_unverified: bool


def view_of(tally: Tally, baseline: Baseline, status: Status, kind: str, day: int, numbers: Numbers) -> View:
    """Grade one view of the evidence."""
    quantities = quantities_of(tally, baseline, numbers.line_fen)
    monitored, _, return_confirmed, _ = status
    close_to_poverty = kind == "lifted" or monitored
    large_expense_fen = numbers.large_expense_fen if close_to_poverty else numbers.large_expense_ordinary_fen
    standing = Standing(day, tally, baseline, quantities, monitored, return_confirmed, large_expense_fen)
    parts = parts_of(quantities, len(tally.guarantees.broken), baseline, numbers)
    worst, codes = floors_of(standing, numbers)
    by_score = grade_by_score(parts.score, numbers)
    return View(standing, parts, codes, by_score if by_score > worst else worst)


def raw_of(everything: View, certain: View) -> Raw:
    """Let a household's own word raise its grade to orange at most, and never lower it."""
    if certain is everything:
        return Raw(everything.grade, everything, False)
    grade = max(certain.grade, min(everything.grade, RiskGrade.ORANGE))
    return Raw(grade, everything, grade != everything.grade)


class Decision(NamedTuple):
    """What was decided about a household on a day, with all that explains it.

    Cheap to make; figures, causes and ids are worked out only when asked for.
    """

    on_day: date
    held: Held
    raw: Raw
    kind: str
    evidence: EvidenceList
    policy: Policy

    @property
    def grade(self) -> RiskGrade:
        """The grade the household has."""
        return self.held.grade

    @property
    def since(self) -> date:
        """Day on which the held grade was taken."""
        return date.fromordinal(self.held.since)

    @property
    def quiet_from(self) -> date | None:
        """Start of the quiet spell that leads to a better grade, if there is one."""
        return None if self.held.quiet_from is None else date.fromordinal(self.held.quiet_from)

    @property
    def raw_grade(self) -> RiskGrade:
        """The grade that the day's evidence gives."""
        return self.raw.grade

    @property
    def parts(self) -> Parts:
        """Points of each part of the score, from all evidence."""
        return self.raw.view.parts

    @property
    def score(self) -> int:
        """All points, from all evidence."""
        return self.raw.view.parts.score

    @property
    def floors(self) -> tuple[str, ...]:
        """Codes of the hard triggers that hold, from all evidence."""
        return self.raw.view.floors

    @property
    def standing(self) -> Standing:
        """Quantities, guarantees and marks behind the grade."""
        return self.raw.view.standing

    @property
    def entries(self) -> tuple[Evidence, ...]:
        """All evidence that the household has."""
        return self.evidence.entries

    @property
    def causes(self) -> tuple[str, ...]:
        """Causes, most important first."""
        standing = self.standing
        numbers: Numbers = self.policy.numbers
        return causes_of(standing.tally, standing.quantities, numbers)

    @property
    def imputed(self) -> tuple[str, ...]:
        """Ids of counted events whose amount is a default."""
        return tuple(sorted(set(self.standing.tally.imputed)))

    @property
    def data_gaps(self) -> tuple[str, ...]:
        """Elements nobody has rated."""
        return self.standing.baseline.data_gaps

    @property
    def suggested_category(self) -> str | None:
        """Category of monitored household that a person might choose."""
        return category_of(self.grade, self.standing.quantities, self.standing.baseline, self.kind)

    @property
    def policy_ref(self) -> PolicyRef:
        """The policy version that judged."""
        return self.policy.ref

    @property
    def event_ids(self) -> tuple[str, ...]:
        """Ids of the events that were weighed: visible and not replaced by another report of their episode."""
        day, live_after = self.standing.day, self.standing.baseline.as_of
        silenced = silenced_by_episode(list(self.entries), day, live_after)
        weighed = (e.event_id for place, e in enumerate(self.entries) if place not in silenced and e.occurred <= day)
        return tuple(dict.fromkeys(weighed))

    def result(self) -> dict[str, object]:
        """The whole result in output formats, ready for JSON."""
        return {
            "grade": self.grade.code,
            "since": self.since.isoformat(),
            "quiet_from": self.quiet_from.isoformat() if self.quiet_from else None,
            "raw_grade": self.raw_grade.code,
            "score": self.score,
            "parts": self.parts._asdict(),
            **self._ratios(),
            "floors": list(self.floors),
            "causes": list(self.causes),
            "imputed": list(self.imputed),
            "data_gaps": list(self.data_gaps),
            "capped_unverified": self.raw.capped_unverified,
            "suggested_category": self.suggested_category,
        }

    def _ratios(self) -> dict[str, str | None]:
        quantities = self.standing.quantities
        per_capita = Fraction(quantities.adjusted, quantities.members)
        income = quantities.net_income
        infinite = income <= 0 and quantities.net_rigid > 0
        share = Fraction(quantities.net_rigid, income) if income > 0 else Fraction(0)
        return {
            "adjusted_per_capita": two_places(per_capita / 100),
            "ratio": four_places(per_capita / quantities.line_fen),
            "net_rigid": two_places(Fraction(quantities.net_rigid, 100)),
            "rigid_share": None if infinite else four_places(share),
            "labour_ratio": four_places(Fraction(quantities.labour_halves, 2 * quantities.members)),
        }
