"""The policy: every number, word and deadline that a jurisdiction may set, versioned, as one checked JSON file.

A decision names the policy version that made it. Day t is judged by the version in force on t.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic_core import PydanticCustomError

from shared.codec import canonical_json
from shared.events.amounts import Day
from shared.events.payloads import Cause
from shared.grades import GradeCode, PolicyRef, RiskGrade

Role = Literal["cadre", "grid", "village_team", "township", "county", "duty_officer"]
AreaLevel = Literal["village", "township", "county"]


class PolicyInvalid(ValueError):
    """A policy file that must not be used; the message names each field and says what is wrong with it."""


def _ratio(value: object) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError):
            pass
    raise PydanticCustomError("ratio_form", 'write an exact ratio as a text, such as "1.5" or "2/3"')


Ratio = Annotated[Fraction, BeforeValidator(_ratio), PlainSerializer(str, return_type=str)]
Points = Annotated[int, Field(ge=0, le=100)]
Days = Annotated[int, Field(ge=1, le=3660)]
Yuan = Annotated[int, Field(ge=1, le=10_000_000)]
Minutes = Annotated[int, Field(ge=0, le=1_000_000)]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Band(_Section):
    """Points for a ratio of at least so much."""

    at_least: Ratio
    points: Points


def _falling(bands: list[Band]) -> list[Band]:
    if any(above.at_least <= below.at_least for above, below in pairwise(bands)):
        raise PydanticCustomError("bands_order", "list the bands from the highest at_least to the lowest")
    return bands


Bands = Annotated[list[Band], Field(min_length=1), AfterValidator(_falling)]


class GradeBounds(_Section):
    """Lowest score of each grade above green."""

    red: Points
    orange: Points
    yellow: Points
    blue: Points


class Score(_Section):
    """Points from 0 (no sign of need) to 100."""

    income_bands: Bands
    income_below: Points
    rigid_bands: Bands
    labour_bands: Bands
    labour_none: Points
    labour_little: Points
    guarantee_points: Points
    guarantee_cap: Points
    element_top_rating: Annotated[int, Field(ge=0, le=3)]
    element_unknown_rating: Annotated[int, Field(ge=0, le=3)]
    grade_at_least: GradeBounds


class Floors(_Section):
    """Parameters of the hard triggers."""

    poverty_ratio: Ratio
    large_expense_yuan: Yuan
    large_expense_ordinary_yuan: Yuan
    overdue_days: Days
    visit_days: Days
    self_report_days: Days
    concern_days: Days
    assessment_days: Days
    stale_baseline_days: Days
    income_drop_share: Ratio
    debt_share: Ratio


class Hysteresis(_Section):
    """How slowly a grade comes down."""

    quiet_days: Days
    margin_points: Points


class Causes(_Section):
    """How causes are listed."""

    labour_shortage_below: Ratio
    most: Annotated[int, Field(ge=1, le=11)]


class Elimination(_Section):
    """What a person must see before marking a risk as eliminated."""

    monitored_days: Days
    stable_days: Days
    rigid_share: Ratio


class Look(_Section):
    """How a grade is shown; no rule reads it."""

    colour: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
    sign: Annotated[str, Field(min_length=1, max_length=2)]
    word_zh: Annotated[str, Field(min_length=1, max_length=20)]
    word_en: Annotated[str, Field(min_length=1, max_length=40)]


class Step(_Section):
    """Whom an unacknowledged alert climbs to, and when."""

    after_minutes: Minutes
    to: Role


class Timetable(_Section):
    """Deadlines of an alert of one grade, from its opening."""

    climb: list[Step] = Field(default_factory=list)
    visit_within_minutes: Minutes | None = None


class Delivery(_Section):
    """When people are left in peace, and how many messages they get."""

    quiet_from: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    quiet_to: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    quiet_exempt: list[GradeCode]
    messages_a_day_per_person_and_household: Annotated[int, Field(ge=1, le=100)]


class PlanStep(_Section):
    """One step of the emergency plan; repeat_minutes: again and again until the grade falls."""

    code: str
    after_minutes: Minutes
    repeat_minutes: Minutes | None = None
    text_zh: str
    text_en: str


class MeasureText(_Section):
    """A suggested measure in words."""

    code: str
    text_zh: str
    text_en: str


class ByLevel(_Section):
    """A number for each level of division."""

    village: Annotated[int, Field(ge=1)]
    township: Annotated[int, Field(ge=1)]
    county: Annotated[int, Field(ge=1)]

    def at(self, level: AreaLevel) -> int:
        """The number for one level."""
        return {"village": self.village, "township": self.township, "county": self.county}[level]


class Tier(_Section):
    """A tier of area risk, from a share of households on."""

    tier: Literal["watch", "warning", "large_scale"]
    share: Ratio


class Area(_Section):
    """When many households of one division are at risk."""

    tiers: list[Tier]
    least_at_risk: ByLevel
    burst_windows_days: list[Days]
    onsets_per_1000_a_day: Ratio
    least_onsets: ByLevel
    burst_p_below: Ratio
    cusum_factor: Ratio
    cusum_alarm: Ratio
    explained_by_child_share: Ratio
    dominant_cause_share: Ratio


class Policy(_Section):
    """One version of one jurisdiction's policy."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,20}$")]
    effective_from: Day
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

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the policy's content, whatever the layout of its file."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json"))).hexdigest()

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


IntegerBand = tuple[int, int, int]
"""(numerator, denominator, points) of one band."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A policy's grading parameters as integers, so that ratios are compared by cross multiplication."""

    line_fen: int
    window_days: int
    income_bands: tuple[IntegerBand, ...]
    income_below: int
    rigid_bands: tuple[IntegerBand, ...]
    labour_bands: tuple[IntegerBand, ...]
    labour_little: int
    labour_none: int
    guarantee_points: int
    guarantee_cap: int
    element_points: tuple[int, int, int, int, int]
    lower_bounds: tuple[int, int, int, int, int]
    poverty_ratio: tuple[int, int]
    large_expense_fen: int
    large_expense_ordinary_fen: int
    overdue_days: int
    visit_days: int
    self_report_days: int
    concern_days: int
    assessment_days: int
    stale_baseline_days: int
    income_drop_share: tuple[int, int]
    debt_share: tuple[int, int]
    quiet_days: int
    margin_points: int
    labour_shortage_below: tuple[int, int]
    most_causes: int

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """Take the numbers out of a policy. element_points: for ratings 0..3, then for an unknown one."""
        score, floors, bounds = policy.score, policy.floors, policy.score.grade_at_least
        top = score.element_top_rating
        points = [max(0, top - rating) for rating in (0, 1, 2, 3, score.element_unknown_rating)]
        return cls(
            line_fen=policy.line_yuan * 100,
            window_days=policy.window_days,
            income_bands=_integers(score.income_bands),
            income_below=score.income_below,
            rigid_bands=_integers(score.rigid_bands),
            labour_bands=_integers(score.labour_bands),
            labour_little=score.labour_little,
            labour_none=score.labour_none,
            guarantee_points=score.guarantee_points,
            guarantee_cap=score.guarantee_cap,
            element_points=(points[0], points[1], points[2], points[3], points[4]),
            lower_bounds=(0, bounds.blue, bounds.yellow, bounds.orange, bounds.red),
            poverty_ratio=floors.poverty_ratio.as_integer_ratio(),
            large_expense_fen=floors.large_expense_yuan * 100,
            large_expense_ordinary_fen=floors.large_expense_ordinary_yuan * 100,
            overdue_days=floors.overdue_days,
            visit_days=floors.visit_days,
            self_report_days=floors.self_report_days,
            concern_days=floors.concern_days,
            assessment_days=floors.assessment_days,
            stale_baseline_days=floors.stale_baseline_days,
            income_drop_share=floors.income_drop_share.as_integer_ratio(),
            debt_share=floors.debt_share.as_integer_ratio(),
            quiet_days=policy.hysteresis.quiet_days,
            margin_points=policy.hysteresis.margin_points,
            labour_shortage_below=policy.causes.labour_shortage_below.as_integer_ratio(),
            most_causes=policy.causes.most,
        )


def _integers(bands: Iterable[Band]) -> tuple[IntegerBand, ...]:
    return tuple((*band.at_least.as_integer_ratio(), band.points) for band in bands)


class Windows(NamedTuple):
    """Days for which events of each sort count."""

    money: int
    visit: int
    self_report: int
    concern: int
    assessment: int


class PolicyBook:
    """The versions of one jurisdiction's policy, by the day from which each is in force."""

    def __init__(self, versions: Iterable[Policy]) -> None:
        """Take at least one version; two from the same day, or of different names, raise PolicyInvalid."""
        self.versions = tuple(sorted(versions, key=lambda policy: policy.effective_from))
        if not self.versions:
            raise PolicyInvalid("a policy book needs at least one version")
        if len({policy.name for policy in self.versions}) > 1:
            raise PolicyInvalid("name: all versions in one policy book must have the same name")
        self._starts = [policy.effective_from.toordinal() for policy in self.versions]
        if len(set(self._starts)) < len(self._starts):
            raise PolicyInvalid("effective_from: two versions start on the same day")

    @cached_property
    def longest(self) -> Windows:
        """For how many days an event can matter under any version."""
        every = [policy.numbers for policy in self.versions]
        return Windows(
            money=max(numbers.window_days for numbers in every),
            visit=max(numbers.visit_days for numbers in every),
            self_report=max(numbers.self_report_days for numbers in every),
            concern=max(numbers.concern_days for numbers in every),
            assessment=max(numbers.assessment_days for numbers in every),
        )

    def on(self, day: date) -> Policy:
        """The version in force on a day; before the first version's day, the first."""
        return self.on_ordinal(day.toordinal())

    def on_ordinal(self, day: int) -> Policy:
        """Like `on`, for a day given as its proleptic Gregorian ordinal."""
        return self.versions[max(0, bisect_right(self._starts, day) - 1)]

    def next_change(self, day: int) -> int | None:
        """First day (ordinal) after `day` on which another version comes into force."""
        # The first version is used before its own day already, so that day changes nothing.
        later = max(1, bisect_right(self._starts, day))
        return self._starts[later] if later < len(self._starts) else None


def parse_policy(document: Mapping[str, object], *, where: str = "policy") -> Policy:
    """Check a decoded policy; raises PolicyInvalid with one line per faulty field."""
    try:
        policy = Policy.model_validate(document)
    except ValidationError as error:
        lines = [
            f"{where}: {'.'.join(str(step) for step in line['loc']) or 'document'}: {line['msg']}"
            for line in error.errors(include_url=False, include_input=False)
        ]
        raise PolicyInvalid("\n".join(lines)) from error
    missing = [
        f"{where}: {section}.{grade.code}: every grade needs an entry"
        for section, entries in (("grades", policy.grades), ("routing", policy.routing))
        for grade in RiskGrade
        if grade.code not in entries
    ]
    if missing:
        raise PolicyInvalid("\n".join(missing))
    return policy


def load_policy(path: Path) -> Policy:
    """Read one policy file; raises PolicyInvalid (not JSON, or a faulty field) or OSError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PolicyInvalid(f"{path.name}: document: not a JSON file in UTF-8") from error
    return parse_policy(document, where=path.name)


def default_policies() -> PolicyBook:
    """The policy versions that come with the program."""
    return PolicyBook(load_policy(path) for path in sorted((Path(__file__).parent / "policies").glob("*.json")))
