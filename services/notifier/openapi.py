"""What OpenAPI 3.1 says about the API's addresses beyond what the routes' signatures show."""

from typing import Any

from shared.alerts import Acknowledgement
from shared.codec import TEXT_PATTERN
from shared.http.openapi import complete_problems, problem_responses

_READING = ("unauthorised", "forbidden", "invalid-request", "temporarily-unavailable")
_ACTING = ("malformed-json", "not-found", "conflict", "too-large", "unsupported-media-type")
_CALLERS = [{"key": list[str]()}, {"session": list[str]()}]


def _acknowledgement() -> dict[str, Any]:
    schema = Acknowledgement.model_json_schema()
    # The decoder refuses other characters before the model sees them.
    schema["properties"]["note"]["pattern"] = TEXT_PATTERN
    return schema


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
ACKNOWLEDGE_ALERT: dict[str, Any] = {
    "summary": "Take an alert on; a repeat changes nothing",
    "operation_id": "acknowledge_alert",
    "responses": problem_responses(*_READING, *_ACTING),
    "openapi_extra": {
        "security": _CALLERS,
        "requestBody": {
            "required": False,
            "content": {"application/json": {"schema": _acknowledgement()}},
        },
    },
}


def complete(document: dict[str, Any]) -> None:
    """Put the problem document and the two ways to be recognised into the components of the generated document."""
    complete_problems(document)
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-shouwang"},
    }
