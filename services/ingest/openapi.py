"""What OpenAPI 3.1 says about each address beyond what the routes' signatures show."""

from typing import Any

from services.ingest.answers import Accepted, BatchVerdict, EventTypeList, Fate, ProblemDocument, Valid
from services.ingest.read_request import Mode
from shared.events.catalogue import EVENT_TYPES
from shared.events.envelope import EventMessage, wire_type
from shared.events.schemas import SET_BY_INGEST, event_schema, relocated
from shared.http.catalogue import PROBLEMS

COMPONENTS = "#/components/schemas/"
EVENT = "HouseholdEvent"
_DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "schema": {"type": "string", "enum": ["true", "false"]},
    "description": "true: check everything, send nothing",
}
_KEY = [{"key": list[str]()}]


def _problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        problem = PROBLEMS[slug]
        entry = found.setdefault(problem.status, {"description": ""})
        entry["description"] = "; ".join(filter(None, [entry["description"], f"{slug}: {problem.meaning}"]))
        entry["content"] = {"application/problem+json": {"schema": {"$ref": f"{COMPONENTS}ProblemDocument"}}}
        if problem.status in (429, 503):
            entry["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return found


def _attribute_headers() -> list[dict[str, Any]]:
    """The ce-* headers of binary mode; required there, absent in structured mode."""
    names = [name for name in EventMessage.model_fields if name not in (*SET_BY_INGEST, "data", "datacontenttype")]
    return [
        {
            "name": f"ce-{name}",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": f"binary mode: attribute {name}, percent-encoded",
        }
        for name in names
    ]


_FOR_ANY_WRITE = (
    "malformed-json",
    "unauthorised",
    "too-slow",
    "too-large",
    "unsupported-media-type",
    "invalid-request",
    "too-many-requests",
    "log-unavailable",
    "temporarily-unavailable",
)

POST_EVENT: dict[str, Any] = {
    "summary": "Send one event",
    "operation_id": "post_event",
    "status_code": 202,
    "response_model": None,
    "responses": {
        202: {"model": Accepted, "description": "A quorum of the log has the event"},
        200: {"model": Valid, "description": "Dry run: the event would be accepted"},
        **_problems(*_FOR_ANY_WRITE, "forbidden", "invalid-event", "unknown-event-type", "time-ahead"),
    },
    "openapi_extra": {
        "security": _KEY,
        "parameters": [_DRY_RUN, *_attribute_headers()],
        "requestBody": {
            "required": True,
            "content": {
                Mode.STRUCTURED.value: {"schema": {"$ref": f"{COMPONENTS}{EVENT}"}},
                Mode.BINARY.value: {"schema": {"type": "object", "description": "the payload; see ce-* headers"}},
            },
        },
    },
}
POST_BATCH: dict[str, Any] = {
    "summary": "Send up to 500 events, each judged by itself",
    "operation_id": "post_batch",
    "status_code": 202,
    "response_model": None,
    "responses": {
        202: {"model": BatchVerdict, "description": "Every event was taken"},
        200: {"model": BatchVerdict, "description": "Dry run: every event would be taken"},
        207: {"model": BatchVerdict, "description": "At least one event was not taken"},
        **_problems(*_FOR_ANY_WRITE, "invalid-event"),
    },
    "openapi_extra": {
        "security": _KEY,
        "parameters": [_DRY_RUN],
        "requestBody": {
            "required": True,
            "content": {
                Mode.JSON_BATCH.value: {
                    "schema": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 500,
                        "items": {"$ref": f"{COMPONENTS}{EVENT}"},
                    }
                },
                Mode.LINES.value: {"schema": {"type": "string", "description": "one event a line"}},
            },
        },
    },
}
GET_EVENT: dict[str, Any] = {
    "summary": "What became of an event that this key sent",
    "operation_id": "get_event",
    "response_model": None,
    "responses": {
        200: {"model": Fate, "description": "The event's fate"},
        **_problems("unauthorised", "not-found", "invalid-request", "too-many-requests", "temporarily-unavailable"),
    },
    "openapi_extra": {
        "security": _KEY,
        "parameters": [
            {
                "name": "source",
                "in": "query",
                "schema": {"type": "string"},
                "description": "needed where the id was sent under several sources",
            }
        ],
    },
}
LIST_EVENT_TYPES: dict[str, Any] = {
    "summary": "The event types",
    "operation_id": "list_event_types",
    "response_model": None,
    "responses": {200: {"model": EventTypeList, "description": "Every event type, with an example"}},
}
GET_EVENT_TYPE: dict[str, Any] = {
    "summary": "The JSON Schema of one event type",
    "operation_id": "get_event_type",
    "response_model": None,
    "responses": {
        200: {
            "description": "JSON Schema 2020-12 of the whole event",
            "content": {"application/schema+json": {"schema": {"type": "object"}}},
        },
        **_problems("not-found"),
    },
}


def complete(document: dict[str, Any]) -> None:
    """Put the events' schemas, the problem document and the key into the components of the generated document."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas |= _of_models()
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for address in document["paths"].values():
        for operation in address.values():
            _drop_generated(operation)


def _of_models() -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    problem = ProblemDocument.model_json_schema(ref_template=COMPONENTS + "{model}")
    schemas |= problem.pop("$defs")
    schemas["ProblemDocument"] = problem
    for name, event_type in EVENT_TYPES.items():
        schema, definitions = relocated(event_schema(event_type), COMPONENTS)
        schemas |= definitions
        schemas[name] = schema
    schemas[EVENT] = {
        "oneOf": [{"$ref": f"{COMPONENTS}{name}"} for name in EVENT_TYPES],
        "discriminator": {
            "propertyName": "type",
            "mapping": {wire_type(name): f"{COMPONENTS}{name}" for name in EVENT_TYPES},
        },
    }
    return schemas


def _drop_generated(operation: dict[str, Any]) -> None:
    """Remove the answer that FastAPI adds for parameters; ours is a problem document."""
    unprocessable = operation["responses"].get("422", {})
    unprocessable.get("content", {}).pop("application/json", None)
