"""What may be shown of a record without showing what it says: keys, kinds and lengths."""

import json
import re
from typing import Any

MOST_DEPTH = 8
MOST_ENTRIES = 40
# What looks like a word of a program. Whoever writes names or numbers of people where keys belong shows none of them.
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
_OUR_TYPE = re.compile(r"cn\.shouwang\.[a-z0-9_.]{1,80}")


def shape_of(value: bytes | None) -> Any:
    """Describe a record's value, ready for JSON: a JSON document as itself with each value replaced by its kind."""
    if value is None:
        return "nothing"
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return f"{len(value)} bytes that are not JSON"
    shape = _shape(document, MOST_DEPTH)
    if isinstance(document, dict) and isinstance(found := document.get("type"), str) and _OUR_TYPE.fullmatch(found):
        shape["type"] = found
    return shape


def _shape(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return f"text of {len(value)}"
    if isinstance(value, bool):
        return "true or false"
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return "number"
    if depth == 0:
        return f"{len(value)} entries, not shown"
    if isinstance(value, list):
        return [_shape(one, depth - 1) for one in value[:MOST_ENTRIES]] + _rest(len(value))
    shown = list(value.items())[:MOST_ENTRIES]
    shapes = {_key(key, at): _shape(one, depth - 1) for at, (key, one) in enumerate(shown, start=1)}
    return shapes | dict.fromkeys(_rest(len(value)), "not shown")


def _key(key: str, at: int) -> str:
    # Numbered, so that two of one length stay two.
    return key if _WORD.fullmatch(key) else f"(key {at}, text of {len(key)})"


def _rest(entries: int) -> list[str]:
    return [f"{entries - MOST_ENTRIES} more"] if entries > MOST_ENTRIES else []


def printable(value: bytes) -> str:
    """Return a record's value as text that no terminal takes for a command."""
    text = value.decode("utf-8", errors="backslashreplace")
    return "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text)
