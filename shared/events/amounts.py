"""Amounts: yuan on the wire become whole fen inside, so that no sum ever drifts.

On the wire an amount is a JSON integer of yuan or a text such as "1234.50"; JSON fractions are refused,
because a reader may already have rounded them.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_YUAN = 10_000_000
_MAX_FEN = MAX_YUAN * 100
_TEXT = re.compile(r"[0-9]{1,8}(\.[0-9]{1,2})?")
_SIGNED_TEXT = re.compile(r"-?[0-9]{1,8}(\.[0-9]{1,2})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_FORM = 'write yuan as a JSON integer or as a text such as "1234.50" (at most 2 decimals)'


def fen_of(value: object) -> int:
    """Read yuan (>= 0, at most 2 decimals, at most 10,000,000) as fen; anything else raises PydanticCustomError."""
    return _bounded(_read(value, _TEXT), lowest=0, words="yuan must be from 0 to 10000000")


def signed_fen_of(value: object) -> int:
    """Read yuan that may be negative as fen; same form and size as `fen_of`."""
    return _bounded(_read(value, _SIGNED_TEXT), lowest=-_MAX_FEN, words="yuan must be from -10000000 to 10000000")


def _read(value: object, form: re.Pattern[str]) -> int:
    if type(value) is int:
        return value * 100
    if isinstance(value, str) and form.fullmatch(value):
        whole, _, cents = value.lstrip("-").partition(".")
        fen = int(whole) * 100 + int(cents.ljust(2, "0") if cents else 0)
        return -fen if value.startswith("-") else fen
    if value is None:
        raise PydanticCustomError("amount_null", "leave the key out when the amount is unknown; null is not an amount")
    raise PydanticCustomError("amount_form", _FORM)


def _bounded(fen: int, *, lowest: int, words: str) -> int:
    if not lowest <= fen <= _MAX_FEN:
        raise PydanticCustomError("amount_range", words)
    return fen


def day_of_text(value: object) -> date:
    """Read a calendar day written YYYY-MM-DD; anything else raises PydanticCustomError."""
    if type(value) is date:
        return value
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise PydanticCustomError("day_form", "write a calendar day as YYYY-MM-DD")


def _amount_schema(*, signed: bool) -> dict[str, Any]:
    sign = "-?" if signed else ""
    return {
        "anyOf": [
            {"type": "integer", "minimum": -MAX_YUAN if signed else 0, "maximum": MAX_YUAN},
            {"type": "string", "pattern": rf"^{sign}(0?[0-9]{{1,7}}(\.[0-9]{{1,2}})?|10000000(\.00?)?)$"},
        ]
    }


Fen = Annotated[int, BeforeValidator(fen_of), WithJsonSchema(_amount_schema(signed=False))]
"""Yuan on the wire, whole fen in Python."""
SignedFen = Annotated[int, BeforeValidator(signed_fen_of), WithJsonSchema(_amount_schema(signed=True))]
Day = Annotated[date, BeforeValidator(day_of_text), WithJsonSchema({"type": "string", "format": "date"})]
Months = Annotated[int, Field(strict=True, ge=0, le=600)]
Count = Annotated[int, Field(strict=True, ge=0, le=1_000)]
Delta = Annotated[int, Field(strict=True, ge=-100, le=100)]
