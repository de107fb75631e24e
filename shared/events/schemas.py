"""JSON Schemas (2020-12) of the events, generated from the models; the files under `shared/schemas` are this output.

A schema of a type describes the whole message as a client sends it. `envelope` describes any event as it stands on
the log: there ingest has added `recordedat` and `keyid`. Addresses are URNs, so that no reader fetches anything.
What a schema cannot say, the edge checks beside it: whole numbers must be written without a fraction, times must
exist and not lie ahead.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from shared.events.catalogue import EVENT_TYPES, EventType, refused_from_self
from shared.events.envelope import EventMessage, wire_type
from shared.events.household_event import SourceClass

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path(__file__).parent.parent / "schemas"
# A client that sends these is refused.
SET_BY_INGEST = ("recordedat", "keyid")

Schema = dict[str, Any]


def schema_id(name: str) -> str:
    """Return the address of a schema, such as urn:shouwang:schema:health.major_illness:v1."""
    return f"urn:shouwang:schema:{name}:v1"


def example_event(event_type: EventType) -> dict[str, Any]:
    """Build a whole event of a type that the edge takes."""
    division = "990100101201"
    return {
        "specversion": "1.0",
        "id": f"example-{event_type.type}",
        "source": "urn:shouwang:example",
        "type": wire_type(event_type.type),
        "subject": division if event_type.area_event else "H-990100101201-0001",
        "time": "2026-03-02T09:30:00+08:00",
        "division": division,
        "sourceclass": "department",
        "data": json.loads(json.dumps(dict(event_type.example))),
    }


def event_schema(event_type: EventType) -> Schema:
    """Build the schema of one type's message, as clients send it."""
    schema = _any_event()
    payload = event_type.payload.model_json_schema()
    definitions = {**schema.pop("$defs", {}), **payload.pop("$defs", {})}
    properties = {name: field for name, field in schema["properties"].items() if name not in SET_BY_INGEST}
    properties["type"] = {"const": wire_type(event_type.type)}
    properties["sourceclass"] = {"enum": _speakers(event_type), "description": "as whom the key speaks"}
    properties["data"] = payload
    if event_type.area_event:
        properties["subject"] = {**properties["division"], "description": "the division concerned, as in division"}
    definitions.pop("SourceClass", None)
    return {
        "$schema": DIALECT,
        "$id": schema_id(event_type.type),
        "title": f"{event_type.name_zh} / {event_type.name_en}",
        "type": "object",
        "properties": properties,
        "required": [name for name in schema["required"] if name in properties],
        "additionalProperties": False,
        **({"$defs": definitions} if definitions else {}),
        "examples": [example_event(event_type)],
    }


def envelope_schema() -> Schema:
    """Build the schema of any event as it stands on the log."""
    schema = _any_event()
    schema["title"] = "Household event on the log"
    schema["required"] = [*schema["required"], *SET_BY_INGEST]
    return {"$schema": DIALECT, "$id": schema_id("envelope"), **schema}


def all_schemas() -> Mapping[str, Schema]:
    """Build every schema, by the name of its file."""
    named = {f"{name}.v1.json": event_schema(event_type) for name, event_type in EVENT_TYPES.items()}
    return {"envelope.v1.json": envelope_schema(), **named}


def write_schemas(folder: Path = FOLDER) -> list[str]:
    """Write the files and remove those of types that are gone; return the names that changed."""
    changed = drift(folder)
    wanted = all_schemas()
    folder.mkdir(exist_ok=True)
    for name in changed:
        if name in wanted:
            (folder / name).write_text(_text(wanted[name]), encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed


def drift(folder: Path = FOLDER) -> list[str]:
    """Name the files that are not what the models say."""
    wanted = {name: _text(schema) for name, schema in all_schemas().items()}
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def relocated(schema: Schema, prefix: str) -> tuple[Schema, dict[str, Schema]]:
    """Split a schema for a document that keeps all definitions in one place.

    prefix: that place, such as "#/components/schemas/". Returns the schema and its definitions, references rewritten.
    """
    moved = _rewrite(deepcopy(schema), prefix)
    definitions = moved.pop("$defs", {})
    for key in ("$schema", "$id"):
        moved.pop(key, None)
    return moved, definitions


def _rewrite(part: Any, prefix: str) -> Any:
    if isinstance(part, dict):
        return {
            key: value.replace("#/$defs/", prefix) if key == "$ref" else _rewrite(value, prefix)
            for key, value in part.items()
        }
    if isinstance(part, list):
        return [_rewrite(inner, prefix) for inner in part]
    return part


@cache
def _generated() -> Schema:
    return EventMessage.model_json_schema()


def _any_event() -> Schema:
    return deepcopy(_generated())


def _speakers(event_type: EventType) -> list[str]:
    return [
        speaker.value
        for speaker in SourceClass
        if not (speaker is SourceClass.SELF and refused_from_self(event_type.type))
    ]


def _text(schema: Schema) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=1) + "\n"
