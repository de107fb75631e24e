"""What OpenAPI 3.1 says about the API's addresses beyond what the routes' signatures show, and about its webhooks."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from services.notifier.core.weekly import WeeklyListBody
from shared.alerts import Acknowledgement, Closing, Comment, DigestBody, Reopening, Visit, WebhookBody
from shared.codec import TEXT_PATTERN
from shared.http.openapi import COMPONENTS, complete_problems, problem_responses
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


def _told(shape: type[BaseModel], summary: str) -> dict[str, Any]:
    schema = {"$ref": f"{COMPONENTS}{shape.__name__}"}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"2XX": {"description": "taken"}, "default": {"description": "it is sent again"}},
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
TAKE_REPLIES: dict[str, Any] = {
    "summary": "For Aliyun alone: what people replied to text messages; whoever replies with a code acknowledges",
    "operation_id": "take_sms_replies",
    "responses": problem_responses("malformed-json", "not-found", "too-large", "temporarily-unavailable"),
    "openapi_extra": {
        "security": [],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "phone_number": {"type": "string"},
                                "content": {"type": "string"},
                                "sequence_id": {"type": ["string", "integer"]},
                                "send_time": {"type": "string"},
                                "dest_code": {"type": "string"},
                                "sign_name": {"type": "string"},
                            },
                            "required": ["phone_number", "content", "sequence_id"],
                        },
                    }
                }
            },
        },
    },
}
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


_WEBHOOKS: Mapping[str, tuple[type[BaseModel], str]] = {
    "alert": (WebhookBody, "One alert is told; a repeat has the same webhook-id"),
    "digest": (DigestBody, "Several alerts are told in one message; a repeat has the same webhook-id"),
    "weekly_list": (WeeklyListBody, "The households of a week's list; a repeat has the same webhook-id"),
}


def complete(document: dict[str, Any]) -> None:
    """Add what the routes do not say: problems, the two ways to be recognised, and what webhook receivers get."""
    complete_problems(document)
    schemas = document["components"]["schemas"]
    for shape, _ in _WEBHOOKS.values():
        schema = shape.model_json_schema(ref_template=COMPONENTS + "{model}", mode="serialization")
        schemas |= schema.pop("$defs", {}) | {shape.__name__: schema}
    document["webhooks"] = {name: {"post": _told(shape, words)} for name, (shape, words) in _WEBHOOKS.items()}
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-shouwang"},
    }
