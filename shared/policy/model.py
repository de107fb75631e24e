"""One version of one jurisdiction's policy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from shared.codec import canonical_json
from shared.events.amounts import Day
from shared.events.payloads import Cause
from shared.grades import GradeCode, PolicyRef, RiskGrade
from shared.policy.numbers import Numbers
from shared.policy.sections import (
    Area,
    Causes,
    Days,
    Delivery,
    Elimination,
    Floors,
    Hysteresis,
    Look,
    MeasureText,
    PlanStep,
    Role,
    Score,
    Section,
    Timetable,
    WeeklyList,
    Yuan,
)


def _telling_digits(prefix: str) -> str:
    if len(prefix) > COUNTY_DIGITS and prefix.endswith("000"):
        raise PydanticCustomError("prefix_zeros", "leave out the zeros at the end: 990100000000 is written 990100")
    return prefix


COUNTY_DIGITS = 6
DivisionPrefix = Annotated[
    str, Field(pattern=r"^([0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12})?$"), AfterValidator(_telling_digits)
]
"""What all division codes of a jurisdiction begin with, from province (2 digits) to village (12); "": the nation."""


class Policy(Section):
    """One version of one jurisdiction's policy.

    A field that a later program adds must have a default, and defaults must stay: they are not part of the hash.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,20}$")]
    effective_from: Day
    division_prefix: DivisionPrefix = ""
    source: str
    line_yuan: Yuan
    window_days: Days
    score: Score
    floors: Floors
    hysteresis: Hysteresis
    causes: Causes
    elimination: Elimination
    area: Area
    grades: dict[GradeCode, Look]
    routing: dict[GradeCode, list[Role]]
    timetable: dict[GradeCode, Timetable]
    delivery: Delivery
    emergency_plan: list[PlanStep]
    measures: dict[Cause, list[MeasureText]]
    weekly_list: WeeklyList = WeeklyList()

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the policy's content, whatever the layout of its file."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json", exclude_defaults=True))).hexdigest()

    @cached_property
    def ref(self) -> PolicyRef:
        """Name, version and hash, as outputs carry them."""
        return PolicyRef(name=self.name, version=self.version, hash=self.content_hash)

    @cached_property
    def numbers(self) -> Numbers:
        """The grading parameters as plain integers."""
        return Numbers.of(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced; what was worked out from the old ones is worked out anew."""
        twin = super().model_copy(update=update, deep=deep)
        for worked_out in ("content_hash", "ref", "numbers"):
            twin.__dict__.pop(worked_out, None)
        return twin

    def look(self, grade: RiskGrade) -> Look:
        """How a grade is shown here."""
        return self.grades[grade.code]
