"""Events made up from their published schemas, and events spoilt a little, for Hypothesis."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from hypothesis import strategies as st

from shared.codec import LINE_PATTERN, TEXT_PATTERN
from shared.events.catalogue import EVENT_TYPES
from shared.events.schemas import Schema, event_schema
from tests.corpus import nasty_strings
from tests.fakes.ingest_edge import NOW

DIVISIONS = ("990100101201", "990100101202", "990199999999", "990000000000")
HOUSEHOLDS = tuple(f"H-{number}" for number in range(12))
SOUND_TEXTS = tuple(text for texts in nasty_strings.SOUND.values() for text in texts)
REFUSED_TEXTS = tuple(text for texts in nasty_strings.REFUSED.values() for text in texts)
_SCHEMAS = {name: event_schema(event_type) for name, event_type in EVENT_TYPES.items()}
_EARLIEST, _LATEST = -36 * 365 * 86_400, 86_000

sound_texts = st.one_of(st.sampled_from(SOUND_TEXTS), st.text(st.characters(exclude_categories=["C"]), max_size=30))
texts = st.one_of(sound_texts, st.text(max_size=30), st.sampled_from(REFUSED_TEXTS))
free_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**17), 10**17), texts, st.just("\U0001d160" * 1_500)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)
_deep = st.integers(1, 13).map(lambda levels: json.loads('{"a":' * levels + "1" + "}" * levels))
_wide = st.integers(100, 180).map(lambda keys: {f"k{number}": number for number in range(keys)})


@st.composite
def instants(draw: st.DrawFn) -> str:
    """RFC 3339 between 1990 and tomorrow, in any spelling that the standard allows."""
    instant = NOW + timedelta(seconds=draw(st.integers(_EARLIEST, _LATEST)), microseconds=draw(st.integers(0, 999_999)))
    hours = draw(st.integers(-23, 23))
    local = (instant + timedelta(hours=hours)).replace(tzinfo=None)
    written = local.isoformat(timespec=draw(st.sampled_from(["seconds", "milliseconds", "microseconds"])))
    offset = draw(st.sampled_from([f"{hours:+03}:00", "Z"] if hours == 0 else [f"{hours:+03}:00"]))
    return draw(st.sampled_from([written + offset, (written + offset).lower()]))


def of_schema(schema: Schema, definitions: Mapping[str, Schema]) -> st.SearchStrategy[Any]:
    """Values that a schema allows, as far as our schemas go."""
    match schema:
        case {"$ref": reference}:
            return of_schema(definitions[reference.rpartition("/")[2]], definitions)
        case {"const": value}:
            return st.just(value)
        case {"enum": values}:
            return st.sampled_from(values)
        case {"anyOf": choices}:
            beside = {"pattern": schema["pattern"]} if "pattern" in schema else {}
            return st.one_of([of_schema({**beside, **choice}, definitions) for choice in choices])
        case {"type": "null"}:
            return st.none()
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "integer"}:
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case {"type": "array"}:
            return st.lists(of_schema(schema["items"], definitions), max_size=min(schema.get("maxItems", 3), 3))
        case {"type": "string"}:
            return _text(schema)
        case {"type": "object"}:
            return _object(schema, definitions)
    raise ValueError(f"a schema of a kind that is not known here: {sorted(schema)}")


def _text(schema: Schema) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return instants()
    if schema.get("format") == "date":
        return st.dates(NOW.date() - timedelta(days=3_000), NOW.date()).map(str)
    pattern = schema.get("pattern", "")
    if pattern not in ("", TEXT_PATTERN, LINE_PATTERN):
        return st.from_regex(pattern.replace("$", r"\Z"))
    least, most, allowed = schema.get("minLength", 0), schema.get("maxLength", 40), re.compile(pattern)
    return sound_texts.filter(lambda text: least <= len(text) <= most and bool(allowed.fullmatch(text)))


def _object(schema: Schema, definitions: Mapping[str, Schema]) -> st.SearchStrategy[dict[str, Any]]:
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        names = of_schema({"type": "string", **schema["propertyNames"]}, definitions)
        some = st.dictionaries(names, of_schema(more, definitions), max_size=3)
        return some if "enum" in schema["propertyNames"] else st.one_of(some, some, _deep, _wide)
    fields = {name: of_schema(field, definitions) for name, field in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: fields[name] for name in fields if name in required},
        optional={name: fields[name] for name in fields if name not in required},
    )


@cache
def _of_type(name: str) -> st.SearchStrategy[dict[str, Any]]:
    schema = _SCHEMAS[name]
    where = st.sampled_from(DIVISIONS).flatmap(
        lambda division: st.fixed_dictionaries(
            {
                "division": st.just(division),
                "subject": st.just(division) if EVENT_TYPES[name].area_event else st.sampled_from(HOUSEHOLDS),
            }
        )
    )
    return st.tuples(of_schema(schema, schema.get("$defs", {})), where).map(lambda made: {**made[0], **made[1]})


valid_events = st.sampled_from(sorted(EVENT_TYPES)).flatmap(_of_type)


@st.composite
def spoilt_events(draw: st.DrawFn) -> dict[str, Any]:
    """An event with one place of it changed: another value, a key too many, or one too few."""
    event = draw(valid_events)
    where: Any = event
    while True:
        place = draw(st.sampled_from(sorted(where) if isinstance(where, dict) else range(len(where))))
        if isinstance(where[place], dict | list) and where[place] and draw(st.booleans()):
            where = where[place]
            continue
        break
    match draw(st.sampled_from(["replace", "remove", "add"])):
        case "remove":
            del where[place]
        case "add" if isinstance(where, dict):
            where[draw(texts)] = draw(free_values)
        case _:
            where[place] = draw(free_values)
    return event


events = st.one_of(valid_events, spoilt_events())
