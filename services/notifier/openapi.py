"""What OpenAPI 3.1 says about the API's addresses beyond what the routes' signatures show."""

from typing import Any

from pydantic import BaseModel

from shared.alerts import Acknowledgement, Closing, Comment, Reopening, Visit
from shared.codec import TEXT_PATTERN
from shared.http.openapi import complete_problems, problem_responses
from shared.silences import SilenceWanted

_READING = ("unauthorised", "forbidden", "invalid-request", "temporarily-unavailable")
_ACTING = ("malformed-json", "not-found", "conflict", "too-large", "unsupported-media-type")
_CALLERS = [{"key": list[str]()}, {"session": list[str]()}]


def _body(shape: type[BaseModel], words: str = "note") -> dict[str, Any]:
    schema = shape.model_json_schema()
    note = schema["properties"][words]
    # The decoder refuses other characters before the model sees them; a text that must say something is not blank.
    blank_refused = r"^(?=[\s\S]*\S)" if note.get("minLength") else "^"
    note["pattern"] = blank_refused + TEXT_PATTERN.removeprefix("^")
    return schema


def _of_one(schema: dict[str, Any]) -> dict[str, Any]:
    """Say that a body names either a division or a household."""
    return schema | {"oneOf": [_with("division"), _with("household_id")]}


def _with(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"type": "string"}}}


def _act(operation_id: str, summary: str, shape: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    return {
        "summary": summary,
        "operation_id": operation_id,
        "responses": problem_responses(*_READING, *_ACTING),
        "openapi_extra": {
            "security": _CALLERS,
            "requestBody": {"required": required, "content": {"application/json": {"schema": _body(shape)}}},
        },
    }


LIST_ALERTS: dict[str, Any] = {
    "summary": "Alerts within the caller's division, newest first",
    "operation_id": "list_alerts",
    "responses": problem_responses(*_READING),
    "openapi_extra": {"security": _CALLERS},
}
SHOW_ALERT: dict[str, Any] = {
    "summary": "One alert with its timeline",
    "operation_id": "show_alert",
    "responses": problem_responses(*_READING, "not-found"),
    "openapi_extra": {"security": _CALLERS},
}
WHY_ALERT: dict[str, Any] = {
    "summary": "Who was told of an alert and who was not, each with the reason, and what became of each attempt",
    "operation_id": "why_alert",
    "responses": problem_responses(*_READING, "not-found"),
    "openapi_extra": {"security": _CALLERS},
}
ACKNOWLEDGE_ALERT = _act(
    "acknowledge_alert", "Take an alert on; a repeat changes nothing", Acknowledgement, required=False
)
VISIT_HOUSEHOLD = _act(
    "visit_household", "Note a visit to the household; it also takes on an alert that nobody holds", Visit
)
RESOLVE_ALERT = _act("resolve_alert", "Close an alert; a red or orange one only after a visit", Closing)
REOPEN_ALERT = _act("reopen_alert", "Take up again an alert that was resolved within the last 30 days", Reopening)
COMMENT_ON_ALERT = _act("comment_on_alert", "Add a remark to the timeline, in any state", Comment)


LIST_SILENCES: dict[str, Any] = {
    "summary": "Silences within the caller's division, those that are over too, newest first",
    "operation_id": "list_silences",
    "responses": problem_responses(*_READING),
    "openapi_extra": {"security": _CALLERS},
}
ADD_SILENCE: dict[str, Any] = {
    "summary": "Keep alerts of a division or a household from everybody for a time; the caller answers for it",
    "operation_id": "add_silence",
    "responses": problem_responses(*_READING, "malformed-json", "too-large", "unsupported-media-type"),
    "openapi_extra": {
        "security": _CALLERS,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _of_one(_body(SilenceWanted, "reason"))}},
        },
    },
}
END_SILENCE: dict[str, Any] = {
    "summary": "End a silence early; what it kept from people is told now. A repeat changes nothing",
    "operation_id": "end_silence",
    "responses": problem_responses(*_READING, "not-found", "too-large"),
    "openapi_extra": {"security": _CALLERS},
}


def complete(document: dict[str, Any]) -> None:
    """Put the problem document and the two ways to be recognised into the components of the generated document."""
    complete_problems(document)
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-shouwang"},
    }
