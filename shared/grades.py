"""Grades: how close a household stands to falling back into poverty, and the message that says one changed.

A grade is an ordinal, 0 to 4. Colours and words belong to a jurisdiction's policy; no rule reads a colour.
On the wire a grade travels as its code (`green` .. `red`).
"""

from __future__ import annotations

from datetime import date, datetime
from enum import IntEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

GradeCode = Literal["green", "blue", "yellow", "orange", "red"]


class RiskGrade(IntEnum):
    """A household's grade; a larger number is worse."""

    GREEN = 0
    BLUE = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4

    @property
    def code(self) -> GradeCode:
        """The name of the grade on the wire."""
        return _CODES[self]

    @classmethod
    def from_code(cls, code: str) -> Self:
        """Read a grade's code; another word raises ValueError."""
        try:
            return cls(_CODES.index(code))
        except ValueError as error:
            raise ValueError("grade must be one of green, blue, yellow, orange, red") from error


_CODES: tuple[GradeCode, ...] = ("green", "blue", "yellow", "orange", "red")


class _Part(BaseModel):
    """A part of a message: strict in types, frozen; fields of a later version are passed over."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


Day = Annotated[date, Field(strict=False)]
Instant = Annotated[datetime, Field(strict=False)]


class Reason(_Part):
    """One sentence that says why a grade was chosen, with its figures."""

    code: str
    text_zh: str
    text_en: str


class Measure(_Part):
    """One suggested measure; people decide whether to assign it."""

    code: str
    cause: str
    text_zh: str
    text_en: str


class DimensionGrade(_Part):
    """One side of a household's need, such as income or water, with its own grade and its points of the score."""

    code: str
    grade: GradeCode
    points: Annotated[int, Field(ge=0)]


class Trigger(_Part):
    """What made the household be judged again: an event, a day that came, or a rebuilt history."""

    kind: Literal["event", "timer", "replay"]
    event_id: str | None = None
    source: str | None = None
    type: str | None = None


class PolicyRef(_Part):
    """Which version of which policy judged."""

    name: str
    version: str
    hash: str


class GradeChanged(_Part):
    """A household's held grade changed (message on the topic of grade changes).

    old equals new where the household only moved to another division: others look after it now.
    closed: the register has closed the household, which is not judged any more; new is green then, and says nothing.
    id: "<household_id>:<version>"; version counts the household's changes from 1; old is null at the first grade.
    on_day: the day judged; decided_at: when the service decided; recorded_at: when the triggering event was received.
    figures: intermediate quantities in their output formats (text, whole numbers, or null for "no finite value").
    dimensions: none in a message of an earlier release.
    """

    id: str
    household_id: str
    alias: str | None = None
    division: str
    version: Annotated[int, Field(ge=1)]
    old: GradeCode | None = None
    new: GradeCode
    on_day: Day
    decided_at: Instant
    trigger: Trigger
    reasons: tuple[Reason, ...] = Field(default=(), strict=False)
    causes: tuple[str, ...] = Field(default=(), strict=False)
    measures: tuple[Measure, ...] = Field(default=(), strict=False)
    figures: dict[str, str | int | None] = Field(default_factory=dict)
    dimensions: tuple[DimensionGrade, ...] = Field(default=(), strict=False)
    event_ids: tuple[str, ...] = Field(default=(), strict=False)
    imputed: tuple[str, ...] = Field(default=(), strict=False)
    data_gaps: tuple[str, ...] = Field(default=(), strict=False)
    suggested_category: str | None = None
    policy: PolicyRef
    recorded_at: Instant | None = None
    closed: bool = False

    @property
    def old_grade(self) -> RiskGrade | None:
        """The grade before, as an ordinal."""
        return None if self.old is None else RiskGrade.from_code(self.old)

    @property
    def new_grade(self) -> RiskGrade:
        """The grade taken, as an ordinal."""
        return RiskGrade.from_code(self.new)
