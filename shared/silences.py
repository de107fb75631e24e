"""Silences as clients see and ask for them: times for which alerts are told to nobody."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from shared.alerts import Words
from shared.events.envelope import DIVISION_PATTERN, HOUSEHOLD_ID_PATTERN, Instant
from shared.grades import GradeCode

ALL_GRADES: tuple[GradeCode, ...] = ("blue", "yellow", "orange", "red")


class SilenceWanted(BaseModel):
    """Body of a silence to be made: for a division and all below it, or for one household. It begins at once."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    division: Annotated[str | None, Field(pattern=DIVISION_PATTERN)] = None
    household_id: Annotated[str | None, Field(pattern=HOUSEHOLD_ID_PATTERN)] = None
    grades: Annotated[tuple[GradeCode, ...], Field(min_length=1, max_length=5, strict=False)] = ALL_GRADES
    until: Instant
    reason: Words

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> Self:
        if (self.division is None) == (self.household_id is None):
            raise PydanticCustomError("one_of_two", "give either division or household_id")
        return self


class SilenceShown(BaseModel):
    """A silence. owner: who answers for it, a staff_id or key:<id>. ended_at: when somebody ended it early."""

    model_config = ConfigDict(frozen=True)

    id: int
    division: str
    household_id: str | None
    grades: tuple[GradeCode, ...]
    owner: str
    reason: str
    created_at: Instant
    until: Instant
    ended_at: Instant | None
    ended_by: str | None
    in_force: bool


class SilenceList(BaseModel):
    """Silences, the newest first."""

    model_config = ConfigDict(frozen=True)

    items: tuple[SilenceShown, ...]
