"""The sections of a policy file. Every field is exact: whole numbers, and ratios written as texts."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic_core import PydanticCustomError

from shared.grades import GradeCode

Role = Literal["cadre", "grid", "village_team", "township", "county", "duty_officer"]
AreaLevel = Literal["village", "township", "county"]
# Short on purpose: "1e999999999" is a ratio too, and would keep the reader busy for days.
_RATIO = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}|/[0-9]{1,9})?")


def _ratio(value: object) -> Fraction:
    if isinstance(value, Fraction):
        return value
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _RATIO.fullmatch(text) or ("/" in text and not int(text.partition("/")[2])):
        raise PydanticCustomError("ratio_form", 'write an exact ratio of 0 or more as a text, such as "1.5" or "2/3"')
    return Fraction(text)


Ratio = Annotated[Fraction, BeforeValidator(_ratio), PlainSerializer(str, return_type=str)]
Points = Annotated[int, Field(ge=0, le=100)]
Days = Annotated[int, Field(ge=1, le=3660)]
Yuan = Annotated[int, Field(ge=1, le=10_000_000)]
Minutes = Annotated[int, Field(ge=0, le=1_000_000)]
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Section(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Band(Section):
    """Points for a ratio of at least so much."""

    at_least: Ratio
    points: Points


def _falling(bands: list[Band]) -> list[Band]:
    if any(above.at_least <= below.at_least for above, below in pairwise(bands)):
        raise PydanticCustomError("bands_order", "list the bands from the highest at_least to the lowest")
    return bands


Bands = Annotated[list[Band], Field(min_length=1), AfterValidator(_falling)]


class GradeBounds(Section):
    """Lowest score of each grade above green."""

    red: Points
    orange: Points
    yellow: Points
    blue: Points


class Score(Section):
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


class Floors(Section):
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


class Hysteresis(Section):
    """How slowly a grade comes down."""

    quiet_days: Days
    margin_points: Points


class Causes(Section):
    """How causes are listed."""

    labour_shortage_below: Ratio
    most: Annotated[int, Field(ge=1, le=11)]


class Elimination(Section):
    """What a person must see before marking a risk as eliminated."""

    monitored_days: Days
    stable_days: Days
    rigid_share: Ratio


class Look(Section):
    """How a grade is shown; no rule reads it."""

    colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$"), AfterValidator(str.lower)]
    sign: Annotated[str, Field(min_length=1, max_length=2)]
    word_zh: Annotated[str, Field(min_length=1, max_length=20)]
    word_en: Annotated[str, Field(min_length=1, max_length=40)]


class Step(Section):
    """Whom an unacknowledged alert climbs to, and when."""

    after_minutes: Minutes
    to: Role


class Timetable(Section):
    """Deadlines of an alert of one grade, from its opening."""

    climb: list[Step] = Field(default_factory=list)
    visit_within_minutes: Minutes | None = None


class MessagesPerPerson(Section):
    """At most so many messages to one person in any stretch of time of this length, over all channels together."""

    most: Annotated[int, Field(ge=1, le=10_000)] = 6
    within_minutes: Annotated[int, Field(ge=1, le=1_440)] = 10


class Burst(Section):
    """So many alerts of one village, grade and first cause within this time belong together in what people get."""

    least: Annotated[int, Field(ge=2, le=10_000)] = 5
    within_minutes: Annotated[int, Field(ge=1, le=1_440)] = 60


class Delivery(Section):
    """When people are left in peace, and how many messages they get.

    quiet_from, quiet_to: in the time of Asia/Shanghai, also over midnight; equal times: no quiet hours.
    """

    quiet_from: TimeOfDay
    quiet_to: TimeOfDay
    quiet_exempt: list[GradeCode]
    messages_a_day_per_person_and_household: Annotated[int, Field(ge=1, le=100)]
    messages_per_person: MessagesPerPerson = MessagesPerPerson()
    burst: Burst = Burst()
    longest_red_silence_minutes: Annotated[int, Field(ge=0, le=10_080)] = 240
    longest_silence_days: Annotated[int, Field(ge=1, le=366)] = 14

    def is_quiet_at(self, time_of_day: str) -> bool:
        """Tell whether a time of day, such as 21:30, lies in the quiet hours."""
        if self.quiet_from <= self.quiet_to:
            return self.quiet_from <= time_of_day < self.quiet_to
        return time_of_day >= self.quiet_from or time_of_day < self.quiet_to


class WeeklyList(Section):
    """Of which grades which roles get a list of households once a week, and when (Asia/Shanghai).

    weekday: 1 (Monday) to 7. at: in quiet hours it waits for their end.
    """

    weekday: Annotated[int, Field(ge=1, le=7)] = 1
    at: TimeOfDay = "08:30"
    routing: dict[GradeCode, list[Role]] = {"blue": ["cadre"]}


class PlanStep(Section):
    """One step of the emergency plan; repeat_minutes: again and again until the grade falls."""

    code: str
    after_minutes: Minutes
    repeat_minutes: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    text_zh: str
    text_en: str


class MeasureText(Section):
    """A suggested measure in words."""

    code: str
    text_zh: str
    text_en: str


class ByLevel(Section):
    """A number for each level of division."""

    village: Annotated[int, Field(ge=1)]
    township: Annotated[int, Field(ge=1)]
    county: Annotated[int, Field(ge=1)]

    def at(self, level: AreaLevel) -> int:
        """The number for one level."""
        return {"village": self.village, "township": self.township, "county": self.county}[level]


class Tier(Section):
    """A tier of area risk, from a share of households on."""

    tier: Literal["watch", "warning", "large_scale"]
    share: Ratio


class Area(Section):
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
