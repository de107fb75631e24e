"""What OpenAPI 3.1 says about each address beyond what the routes' signatures show."""

from typing import Any

from services.ingest.answers import Accepted, BatchVerdict, EventTypeList, Fate, Valid
from services.ingest.read_request import Mode
from shared.codec import TEXT_PATTERN
from shared.events.catalogue import EVENT_TYPES
from shared.events.envelope import EVENT_ID_PATTERN, EventMessage, wire_type
from shared.events.household_event import SourceClass
from shared.events.schemas import SET_BY_INGEST, event_schema, relocated
from shared.http.openapi import COMPONENTS, complete_problems, problem_responses

EVENT = "HouseholdEvent"
_DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "schema": {"type": "string", "enum": ["true", "false"]},
    "description": "true: check everything, send nothing",
}
_KEY = [{"key": list[str]()}]


def _attribute_headers() -> list[dict[str, Any]]:
    """The ce-* headers of binary mode; required there, absent in structured mode."""
    fields = EventMessage.model_json_schema()["properties"]
    return [
        {
            "name": f"ce-{name}",
            "in": "header",
            "required": False,
            "schema": _header_schema(field),
            "description": f"binary mode: attribute {name}, percent-encoded",
        }
        for name, field in fields.items()
        if name not in (*SET_BY_INGEST, "data", "datacontenttype")
    ]


def _header_schema(field: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in field:
        return {"type": "string", "enum": [speaker.value for speaker in SourceClass]}
    told = next((choice for choice in field.get("anyOf", ()) if choice.get("type") == "string"), field)
    # What is not ASCII is longer in a header than the attribute is.
    kept = ("const", "pattern", "format") if told.get("pattern") != TEXT_PATTERN else ()
    return {"type": "string", **{word: told[word] for word in kept if word in told}}


_FOR_ANY_WRITE = (
    "malformed-json",
    "unauthorised",
    "too-large",
    "unsupported-media-type",
    "invalid-request",
    "too-many-requests",
    "log-unavailable",
    "temporarily-unavailable",
)

_FATE_LINK = {
    "fate": {
        "operationId": "get_event",
        "parameters": {"event_id": "$response.body#/id"},
        "description": "What becomes of the event",
    }
}
POST_EVENT: dict[str, Any] = {
    "summary": "Send one event",
    "operation_id": "post_event",
    "status_code": 202,
    "response_model": None,
    "responses": {
        202: {"model": Accepted, "description": "A quorum of the log has the event", "links": _FATE_LINK},
        200: {"model": Valid, "description": "Dry run: the event would be accepted"},
        **problem_responses(*_FOR_ANY_WRITE, "forbidden", "invalid-event", "unknown-event-type", "time-ahead"),
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
        **problem_responses(*_FOR_ANY_WRITE, "invalid-event"),
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
        **problem_responses(
            "unauthorised", "not-found", "invalid-request", "too-many-requests", "temporarily-unavailable"
        ),
    },
    "openapi_extra": {
        "security": _KEY,
        "parameters": [
            {
                "name": "source",
                "in": "query",
                "schema": {"type": "string", "pattern": r"^[!-~]{1,200}$"},
                "description": "needed where the id was sent under several sources",
            }
        ],
    },
}
LIST_EVENT_TYPES: dict[str, Any] = {
    "summary": "The event types",
    "operation_id": "list_event_types",
    "response_model": None,
    "responses": {
        200: {"model": EventTypeList, "description": "Every event type, with an example"},
        **problem_responses(),
    },
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
        **problem_responses("not-found"),
    },
}

_PATH_SCHEMAS: dict[str, dict[str, Any]] = {
    "event_id": {"pattern": EVENT_ID_PATTERN},
    "event_type": {"enum": list(EVENT_TYPES)},
}


def complete(document: dict[str, Any]) -> None:
    """Put the events' schemas, the problem document and the key into the components of the generated document."""
    complete_problems(document)
    components = document["components"]
    components["schemas"] |= _of_events()
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for address in document["paths"].values():
        for operation in address.values():
            _narrow_path(operation)


def _of_events() -> dict[str, Any]:
    schemas: dict[str, Any] = {}
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


def _narrow_path(operation: dict[str, Any]) -> None:
    """Say what the names in a path look like; the routes take any text and answer 404."""
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["schema"] |= _PATH_SCHEMAS[parameter["name"]]
