"""Texts inside payloads: one line, no control characters, no identity or telephone numbers.

The decoder has refused already what no text of ours may hold; the patterns here tell readers of the schemas so.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError

from shared.codec import LINE_PATTERN, MAX_STRING_CHARACTERS, TEXT_PATTERN

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PERSONAL_NUMBER = re.compile(r"(?<![0-9])(?:[0-9]{17}[0-9Xx]|[0-9]{15}|1[0-9]{10})(?![0-9])")
_LINE: dict[str, Any] = {"pattern": LINE_PATTERN}


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise PydanticCustomError("text_control", "leave control characters out of the text")
    if _PERSONAL_NUMBER.search(text):
        raise PydanticCustomError(
            "personal_number", "leave identity and telephone numbers out; refer to people by pseudonym"
        )
    return text


Text = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra=_LINE), AfterValidator(_plain)]
Pseudonym = Annotated[str, Field(min_length=1, max_length=64, json_schema_extra=_LINE), AfterValidator(_plain)]
Alias = Annotated[str, Field(min_length=1, max_length=40, json_schema_extra=_LINE), AfterValidator(_plain)]
Episode = Annotated[str, Field(max_length=200, json_schema_extra=_LINE), AfterValidator(_plain)]
Source = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"pattern": TEXT_PATTERN})]


def _free_object(levels: int) -> JsonSchemaValue:
    value: list[JsonSchemaValue] = [
        {"type": "null"},
        {"type": "boolean"},
        {"type": "integer", "minimum": 1 - 10**17, "maximum": 10**18 - 1},
        {"type": "string", "maxLength": MAX_STRING_CHARACTERS, "pattern": TEXT_PATTERN},
    ]
    if levels:
        inner = _free_object(levels - 1)
        value += [inner, {"type": "array", "items": inner["additionalProperties"]}]
    return {"type": "object", "propertyNames": {"pattern": TEXT_PATTERN}, "additionalProperties": {"anyOf": value}}


# As deep as any payload that can be corrected.
FreeObject = Annotated[dict[str, Any], WithJsonSchema(_free_object(2))]
"""An object that no model looks into."""
