"""The envelope: CloudEvents 1.0 in structured JSON mode, with the extensions that a household event carries.

Source: CloudEvents specification 1.0.2 (core and JSON format). Extensions, in lower-case letters and digits as the
standard wants them: `division`, `sourceclass`, `episode`, `traceparent`; ingest adds `recordedat` and `keyid`.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic_core import PydanticCustomError

from shared.clock import day_of, to_rfc3339
from shared.codec import FROM_CLIENT, FROM_LOG, TEXT_PATTERN, decode_json, encode_json, pointer
from shared.errors import Fault
from shared.events.household_event import SourceClass

TYPE_PREFIX = "cn.shouwang."
TYPE_VERSION = ".v1"
HOUSEHOLD_ID_PATTERN = r"^[A-Za-z0-9_-]{1,40}$"
EVENT_ID_PATTERN = r"^[!-~]{1,64}$"
DIVISION_PATTERN = r"^[0-9]{12}$"
_OUR_TYPE = re.compile(rf"{re.escape(TYPE_PREFIX)}(.+){re.escape(TYPE_VERSION)}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
EARLIEST_DAY = date(1990, 1, 1)
# How far a clock elsewhere may run ahead of ours before what it says is refused.
MAX_AHEAD = timedelta(days=1)


def _parse_instant(value: object) -> object:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise PydanticCustomError(
            "not_an_instant",
            "give an RFC 3339 instant with its offset, such as 2026-03-02T09:30:00+08:00 "
            "(where only the day is known: T00:00:00+08:00)",
        )
    try:
        instant = datetime.fromisoformat(value.upper())
        instant + timedelta(days=2)
        instant - timedelta(days=2)
    except (ValueError, OverflowError):
        raise PydanticCustomError(
            "not_an_instant", "this day or time of day does not exist; check month, day and offset"
        ) from None
    return instant


def _check_uri(value: str) -> str:
    try:
        urlsplit(value)
    except ValueError:
        raise PydanticCustomError("not_a_uri", "give a URI reference, such as urn:app:village-notes") from None
    return value


Instant = Annotated[
    datetime,
    BeforeValidator(_parse_instant, json_schema_input_type=str),
    PlainSerializer(to_rfc3339, when_used="json"),
    Field(json_schema_extra={"format": "date-time"}),
]
Uri = Annotated[str, Field(pattern=r"^[!-~]{1,200}$"), AfterValidator(_check_uri)]


class Envelope(BaseModel):
    """CloudEvents context attributes that every message of ours carries."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    specversion: Literal["1.0"]
    id: Annotated[str, Field(pattern=EVENT_ID_PATTERN, description="made by the client, unique within source")]
    source: Annotated[Uri, Field(description="URI of the app or department that speaks")]
    type: Annotated[str, Field(pattern=r"^[a-z0-9_.]{1,80}$")]
    subject: Annotated[str, Field(pattern=HOUSEHOLD_ID_PATTERN, description="household_id")]
    time: Annotated[Instant, Field(description="when it happened; its Asia/Shanghai day counts")]
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Annotated[str | None, Field(pattern=r"^[!-~]{1,300}$")] = None
    traceparent: Annotated[str | None, Field(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")] = None


class EventMessage(Envelope):
    """A household event, as a field app posts it and as it stands on `household.events.v1`.

    recordedat and keyid are set by ingest; a client that sends them is refused.
    """

    division: Annotated[str, Field(pattern=DIVISION_PATTERN, description="12-digit division code of the household")]
    sourceclass: Annotated[SourceClass, Field(strict=False)]
    episode: Annotated[
        str | None,
        Field(
            max_length=64,
            description="ties cumulative reports of one thing together",
            json_schema_extra={"pattern": TEXT_PATTERN},
        ),
    ] = None
    data: dict[str, Any]
    recordedat: Annotated[Instant | None, Field(description="set by ingest")] = None
    keyid: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_]{1,40}$", description="set by ingest")] = None

    @property
    def event_type(self) -> str:
        """The type as the rule book names it, such as health.major_illness; "" where it is not one of ours."""
        ours = _OUR_TYPE.fullmatch(self.type)
        return ours[1] if ours else ""

    @property
    def occurred_on(self) -> date:
        """The Asia/Shanghai day on which it happened."""
        return day_of(self.time)

    @property
    def identity(self) -> tuple[str, str]:
        """(source, id): two messages with the same identity are the same event."""
        return (self.source, self.id)

    def received(self, recorded_at: datetime, key_id: str) -> Self:
        """Return the event as ingest puts it on the log."""
        return self.model_copy(update={"recordedat": recorded_at, "keyid": key_id})

    def to_bytes(self) -> bytes:
        """Write structured JSON; absent attributes are left out."""
        return encode_json(self.model_dump(mode="json", exclude_none=True))


def event_identity(source: str, event_id: str) -> bytes:
    """Return the 16 bytes that stand for an event in the ledger: equal exactly when source and id are."""
    return hashlib.blake2b(f"{source}\0{event_id}".encode(), digest_size=16).digest()


def wire_type(event_type: str) -> str:
    """Return the CloudEvents type of a rule-book type."""
    return f"{TYPE_PREFIX}{event_type}{TYPE_VERSION}"


def read_event(body: bytes, *, tolerant: bool = False) -> EventMessage:
    """Read one structured-mode event from bytes, strictly.

    tolerant: for a reader of the log, which may be older than the writer: unknown attributes are passed over, and the
    document may be as large as ingest makes it. Raises MalformedJson (not one clean JSON document) or
    pydantic.ValidationError (not our envelope).
    """
    document = decode_json(body, FROM_LOG if tolerant else FROM_CLIENT)
    return EventMessage.model_validate(document, extra="ignore" if tolerant else None)


_DETAILS: Mapping[str, str] = {
    "missing": "this field is required",
    "extra_forbidden": "this field is not known here; remove it or check its spelling",
    "int_type": "give a whole JSON number",
    "int_from_float": "give a whole JSON number",
    "string_type": "give a JSON string",
    "bool_type": "give true or false",
    "dict_type": "give a JSON object",
    "model_type": "give a JSON object",
    "list_type": "give a JSON array",
}


def faults_of(error: ValidationError, *prefix: str | int) -> tuple[Fault, ...]:
    """Turn pydantic's errors into faults with JSON pointers, without the refused values.

    prefix: steps before the model's own place in the document, such as "data".
    """
    return tuple(
        Fault(pointer(*prefix, *(step for step in found["loc"])), found["type"], _detail(found))
        for found in error.errors(include_url=False, include_context=True, include_input=False)
    )


def _detail(found: Mapping[str, Any]) -> str:
    if found["type"] in _DETAILS:
        return _DETAILS[found["type"]]
    if found["type"] == "string_pattern_mismatch":
        return f"give text that matches {found['ctx']['pattern']}"
    return str(found["msg"])
