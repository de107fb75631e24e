"""A change of grade as it stands on the log: a CloudEvents 1.0 envelope around `GradeChanged`."""

from typing import Annotated, Literal

from pydantic import Field

from shared.codec import FROM_LOG, decode_json, encode_json
from shared.events.envelope import Envelope
from shared.grades import GradeChanged

GRADE_CHANGED_TYPE: Literal["cn.shouwang.household.grade_changed.v1"] = "cn.shouwang.household.grade_changed.v1"


class GradeChangedMessage(Envelope):
    """The message on `household.grade-changes.v1` and, kept per household, on `household.grades.v1`."""

    type: Literal["cn.shouwang.household.grade_changed.v1"] = GRADE_CHANGED_TYPE
    division: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    data: GradeChanged


def write_grade_change(change: GradeChanged) -> bytes:
    """Wrap a change and write it as structured JSON."""
    message = GradeChangedMessage(
        specversion="1.0",
        id=change.id,
        source="urn:shouwang:scorer",
        subject=change.household_id,
        time=change.decided_at,
        division=change.division,
        data=change,
    )
    return encode_json(message.model_dump(mode="json", exclude_none=True))


def read_grade_change(body: bytes) -> GradeChanged:
    """Read a change from the log. Raises MalformedJson or pydantic.ValidationError."""
    return GradeChangedMessage.model_validate(decode_json(body, FROM_LOG), extra="ignore").data
