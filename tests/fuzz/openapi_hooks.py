"""What Schemathesis must know beside the OpenAPI documents, because OpenAPI has no words for it."""

import json
from typing import Any

import schemathesis
from hypothesis import strategies as st

from shared.events.catalogue import EVENT_TYPES
from tests.corpus.generated import DIVISIONS, instants
from tests.fakes.ingest_edge import LINES, NOW

# Which instants and days have come already depends on the server's clock.
schemathesis.openapi.format("date-time", instants())
schemathesis.openapi.format("date", st.dates(NOW.date().replace(year=1990), NOW.date()).map(str))


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, schema: dict[str, Any]) -> None:
    """Of ingest: leave out binary mode, whose headers depend on the media type; lines are the events they hold."""
    if "/v1/events" not in schema["paths"]:
        return
    post = schema["paths"]["/v1/events"]["post"]
    post["parameters"] = [one for one in post["parameters"] if not one["name"].startswith("ce-")]
    del post["requestBody"]["content"]["application/json"]
    batch = schema["paths"]["/v1/events/batch"]["post"]["requestBody"]["content"]
    batch[LINES] = batch["application/cloudevents-batch+json"]
    for name, event_type in EVENT_TYPES.items():
        _within_reach(schema["components"]["schemas"][name]["properties"], area_event=event_type.area_event)


def _within_reach(event: dict[str, Any], *, area_event: bool) -> None:
    """Name divisions that the key covers; that an area's event bears its division twice, no schema can say."""
    event["division"] = {"enum": list(DIVISIONS[:1] if area_event else DIVISIONS)}
    if area_event:
        event["subject"] = event["division"]
    payload = event["data"].get("properties", {})
    if "division" in payload:
        payload["division"] = {"enum": list(DIVISIONS)}
    if "divisions" in payload:
        payload["divisions"]["items"] = {"enum": list(DIVISIONS)}


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Write whole numbers without a fraction: to a schema 3.0 is an integer, to the edge it is not."""
    if isinstance(body, dict):
        return {name: map_body(context, value) for name, value in body.items()}
    if isinstance(body, list):
        return [map_body(context, value) for value in body]
    return int(body) if isinstance(body, float) and body.is_integer() else body


@schemathesis.serializer(LINES)
def lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Write one event a line; what is no list, as it is."""
    events = value if isinstance(value, list) else [value]
    return b"\n".join(json.dumps(event).encode() for event in events)
