"""What a line is, and what was measured for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """What we want of a line. ratio: at least this share of the ceiling; least, most: bounds of the value."""

    ratio: float | None = None
    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        parts = [
            f">= {self.ratio:g} of the ceiling" if self.ratio is not None else "",
            f">= {self.least:,g}" if self.least is not None else "",
            f"<= {self.most:,g}" if self.most is not None else "",
        ]
        return ", ".join(part for part in parts if part)

    def is_met(self, value: float, ratio: float | None) -> bool:
        """Tell whether figures reach it. Only told, never asserted."""
        return (
            (self.ratio is None or (ratio is not None and ratio >= self.ratio))
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of the benchmark, before anything is measured.

    says: what is measured, and what the ceiling is. quick: also in `make bench-quick`. less_is_better: for times and
    costs; the ratio to the ceiling is then turned round, so that 1 always means "as good as the ceiling".
    """

    name: str
    unit: str
    says: str
    quick: bool = False
    goal: Goal | None = None
    less_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Rounds:
    """The figures of each round, ours and the ceiling's, in the line's unit.

    ceilings: empty where there is none. remark: what a reader must know of this run, in a few words.
    """

    values: Sequence[float]
    ceilings: Sequence[float] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one line: its rounds, or the reason why there are none."""

    line: Line
    rounds: Rounds | None = None
    failed: str | None = None

    @property
    def value(self) -> float | None:
        """The median of the rounds."""
        return median(self.rounds.values) if self.rounds else None

    @property
    def ceiling(self) -> float | None:
        """The median of the ceiling's rounds."""
        return median(self.rounds.ceilings) if self.rounds and self.rounds.ceilings else None

    @property
    def ratio(self) -> float | None:
        """How near the value comes to the ceiling; 1 = as good."""
        value, ceiling = self.value, self.ceiling
        if not value or not ceiling:
            return None
        return ceiling / value if self.line.less_is_better else value / ceiling

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; None where there is none, or nothing was measured."""
        if self.line.goal is None or self.value is None:
            return None
        return self.line.goal.is_met(self.value, self.ratio)

    def for_json(self) -> dict[str, Any]:
        """As it stands in latest.json and on the page. marked: part of the quick run."""
        rounds = self.rounds
        return {
            "name": self.line.name,
            "value": rounded(self.value),
            "unit": self.line.unit,
            "ceiling": rounded(self.ceiling),
            "ratio": rounded(self.ratio),
            "min": rounded(min(rounds.values)) if rounds else None,
            "max": rounded(max(rounds.values)) if rounds else None,
            "rounds": len(rounds.values) if rounds else 0,
            "goal": str(self.line.goal) if self.line.goal else None,
            "met": self.is_met,
            "remark": rounds.remark if rounds else "",
            "failed": self.failed,
            "says": self.line.says,
            "marked": self.line.quick,
        }


def rounded(figure: float | None) -> float | None:
    """A figure with the four digits that a measurement can carry."""
    return None if figure is None else float(f"{figure:.4g}")
