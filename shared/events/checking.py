"""Checks a payload against its event type: strictly at the edge, tolerantly in a history."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.codec import pointer
from shared.errors import Fault
from shared.events.catalogue import EventType
from shared.events.payloads import Payload


def read_payload(event_type: EventType, payload: Mapping[str, object]) -> Payload:
    """Read a payload out of a history, passing over unknown fields; raises pydantic's ValidationError."""
    # What model_validate calls, without its 1 us of checking its own arguments: each event is read twice.
    read: Payload = event_type.payload.__pydantic_validator__.validate_python(payload, extra="ignore")
    return read


def readable(event_type: EventType, payload: Mapping[str, object]) -> Payload | None:
    """Read a payload out of a history like `read_payload`; None if it cannot be read."""
    try:
        return read_payload(event_type, payload)
    except ValidationError:
        return None


def payload_faults(event_type: EventType, payload: object, *, at_edge: bool = True) -> tuple[Fault, ...]:
    """List what must be mended in a payload, with pointers relative to it; empty = valid.

    at_edge: unknown fields are faults. No detail repeats a value.
    """
    try:
        event_type.payload.model_validate(payload, extra="forbid" if at_edge else "ignore")
    except ValidationError as error:
        return tuple(fault_of(line) for line in error.errors(include_url=False, include_input=False))
    return ()


_WORDS = {
    "missing": ("required", "this field is required"),
    "extra_forbidden": ("unknown_field", "this field is not known here; leave it out"),
    "int_type": ("not_an_integer", "write a JSON integer, without quotes or decimals"),
    "int_from_float": ("not_an_integer", "write a JSON integer, without quotes or decimals"),
    "string_type": ("not_a_text", "write a JSON string"),
    "bool_type": ("not_a_boolean", "write true or false"),
    "list_type": ("not_a_list", "write a JSON array"),
    "dict_type": ("not_an_object", "write a JSON object"),
    "model_type": ("not_an_object", "write a JSON object"),
    "model_attributes_type": ("not_an_object", "write a JSON object"),
}


def fault_of(line: ErrorDetails, *prefix: str | int) -> Fault:
    """Turn one of pydantic's lines into a fault that says what to do and repeats no value."""
    code, detail = _WORDS.get(line["type"], (line["type"], _plain_message(line)))
    path = (*prefix, *(step for step in line["loc"] if step != "[key]"))
    return Fault(pointer(*path), code, detail)


def _plain_message(line: ErrorDetails) -> str:
    message = line["msg"].replace("Input should be", "the value must be").replace("String should", "the text must")
    return message[:1].lower() + message[1:]
