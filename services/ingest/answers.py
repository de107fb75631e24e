"""The shapes of ingest's answers; OpenAPI shows them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from shared.grades import GradeCode
from shared.http.openapi import ProblemDocument


class Accepted(BaseModel):
    """A quorum of the log has the event."""

    id: str
    status: Literal["accepted"]
    partition: int
    offset: int


class Valid(BaseModel):
    """The event would have been accepted; nothing was sent (`dry_run=true`)."""

    id: str
    status: Literal["valid"]


class EventVerdict(BaseModel):
    """What became of one event of a batch."""

    index: Annotated[int, Field(description="place of the event in the batch, from 0")]
    id: Annotated[str | None, Field(description="null while the event could not be read")]
    status: Annotated[
        Literal["accepted", "refused", "not_accepted", "valid"],
        Field(description="refused: mend it; not_accepted: send it again with the same id; valid: dry run"),
    ]
    partition: int | None = None
    offset: int | None = None
    problem: ProblemDocument | None = None


class BatchVerdict(BaseModel):
    """A verdict for each event of a batch, in its order."""

    results: list[EventVerdict]


class Fate(BaseModel):
    """What became of an event. Fields that do not apply are null.

    conflicts: later events with the same identity and another content; the first counts, they are in quarantine.
    """

    id: str
    source: str
    status: Literal["accepted", "applied", "waiting_for_enrolment", "quarantined"]
    household_id: str | None = None
    grade_before: GradeCode | None = None
    grade_after: GradeCode | None = None
    reason: str | None = None
    detail: str | None = None
    recorded_at: str | None = None
    quarantined_at: str | None = None
    partition: int | None = None
    offset: int | None = None
    conflicts: int = 0


class EventTypeRow(BaseModel):
    """One event type."""

    type: Annotated[str, Field(description="as the rule book names it")]
    wire_type: Annotated[str, Field(description="what stands in `type` of the event")]
    name_zh: str
    name_en: str
    schema_url: Annotated[str, Field(serialization_alias="schema", description="where its JSON Schema is")]
    example: Annotated[dict[str, Any], Field(description="a whole event that is accepted")]


class EventTypeList(BaseModel):
    """Every event type."""

    items: list[EventTypeRow]
    next: None = None
