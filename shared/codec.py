"""The one strict JSON decoder, used where bytes come in: at the HTTP edge and from the log.

JSON leaves room for documents that two readers understand differently. Everything in that room is refused: a byte order
mark, bytes that are not UTF-8, a key given twice, NaN and Infinity, numbers that no field has a use for, lone
surrogates, control and direction-changing characters, and documents deeper or wider than any event.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from shared.errors import Fault


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a document may be: levels of nesting, and keys in all its objects together."""

    depth: int
    keys: int


FROM_CLIENT = Limits(depth=16, keys=200)
# What was taken from a client stands on the log with more attributes and, sent in binary mode, one level deeper; our
# own messages hold lists that no client sends. A reader that is as strict as the edge would refuse what the edge took.
FROM_LOG = Limits(depth=24, keys=2_000)
MAX_INTEGER_DIGITS = 18
MAX_STRING_CHARACTERS = 4_000
# C0 and C1 controls but newline; line and paragraph separators; the bidi embedding, override and isolate marks; what
# cannot be seen (zero-width characters, tags); surrogates and noncharacters.
_FORBIDDEN_CHARACTERS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufdd0-\ufdef\ufeff\ufff9-\uffff"
    + "\ud800-\udfff\U000e0000-\U000e007f"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0x110000, 0x10000))
    + "]"
)
# The same for JSON Schemas, as far as their regular expressions go: for texts of several lines, and of one.
_UNSEEN = r"\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufdd0-\ufdef\ufeff\ufff9-\uffff"
TEXT_PATTERN = rf"^[^\u0000-\u0009{_UNSEEN}]*$"
LINE_PATTERN = rf"^[^\u0000-\u000a{_UNSEEN}]*$"
# More marks on one letter than any language writes cover the lines above and below it.
_STACKED_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u064b-\u065f\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{5}"
)
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}|[0-9]{1,6}")
# A text that nobody closes is one token too, and nothing is ever gone back over: else a body of escaped quotes would be
# read again from each of its quotes (3 s for 32 KiB).
_DEPTH_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{\]}]', re.DOTALL)
_ARRAY_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{\]},]', re.DOTALL)


class MalformedJson(ValueError):
    """Bytes that are not one clean JSON document; `fault` says where and what to do."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


def decode_json(body: bytes, limits: Limits = FROM_CLIENT) -> Any:
    """Decode one JSON document into dict, list, str, int, bool or None.

    Fractions and exponents are kept as `JsonFraction`, which no strict model takes for a number: every number in an
    event is a whole one, and amounts with fen are strings such as "12.50".
    Strings come out in Unicode normal form C. Raises MalformedJson.
    """
    return decode_json_text(_decode_text(body), limits)


def decode_json_text(text: str, limits: Limits) -> Any:
    """Decode like `decode_json` what is text already, such as a part of a document."""
    # Each level opens a bracket, each key is followed by a colon: few of either need no exact count.
    if text.count("[") + text.count("{") > limits.depth:
        _check_depth(text, limits.depth)
    decoder = _DECODER if text.count(":") <= limits.keys else _decoder(_KeyCounter(limits.keys).unique_object)
    try:
        document = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(
            "not_json", f"this is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    return document if _holds_clean_texts_only(text) else _clean(document)


class JsonFraction:
    """A JSON number with a fraction or an exponent. It has no value here: no field of an event takes one."""

    __slots__ = ()

    def __init__(self, _text: str) -> None: ...

    def __repr__(self) -> str:
        return "JsonFraction()"


def fraction_at(document: object, *steps: str | int) -> str | None:
    """Return the JSON pointer of the first fraction in a decoded document; None if it has none and can be encoded."""
    if isinstance(document, JsonFraction):
        return pointer(*steps)
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return next((found for step, one in inside if (found := fraction_at(one, *steps, step)) is not None), None)


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_CANONICAL = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True)


def encode_json(document: object) -> bytes:
    """Encode compactly as UTF-8, keys in the order given, refusing NaN and Infinity."""
    return _COMPACT.encode(document).encode()


def canonical_json(document: object) -> bytes:
    """Encode with sorted keys: equal documents give equal bytes, so that their hashes can be compared."""
    return _CANONICAL.encode(document).encode()


def pointer(*steps: str | int) -> str:
    """Build a JSON pointer (RFC 6901) from keys and indexes.

    A key that does not look like a field name is shown as "?": a caller may have put a person's particulars there.
    """
    return "".join("/" + (str(step) if _FIELD_NAME.fullmatch(str(step)) else "?") for step in steps)


def _decode_text(body: bytes) -> str:
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise _malformed("byte_order_mark", "send plain UTF-8 without a byte order mark")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed("not_utf8", f"send UTF-8; byte {error.start} is not part of any UTF-8 character") from None
    if not text.strip():
        raise _malformed("empty", "the body is empty; send one JSON document")
    return text


def _check_depth(text: str, most: int) -> None:
    # Counted before parsing: the parser itself recurses, and a deep enough document would end it.
    depth = 0
    for token in _DEPTH_TOKENS.finditer(text):
        mark = token.group()
        if mark in ("[", "{"):
            depth += 1
            if depth > most:
                raise _malformed("too_deep", f"nest objects and arrays at most {most} deep")
        elif mark in ("]", "}"):
            depth -= 1


class _KeyCounter:
    def __init__(self, most: int) -> None:
        self._most = most
        self._seen = 0

    def unique_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self._seen += len(pairs)
        if self._seen > self._most:
            raise _malformed("too_many_keys", f"use at most {self._most} keys in one document")
        return _unique_object(pairs)


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _malformed("duplicate_key", "an object gives the same key twice; give each key once")
    return found


def _refuse_constant(_name: str) -> NoReturn:
    raise _malformed("not_finite", "NaN and Infinity are not JSON; leave the key out if the amount is unknown")


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise _malformed("number_too_long", f"write whole numbers with at most {MAX_INTEGER_DIGITS} digits")
    return int(digits)


def _decoder(object_of: Callable[[list[tuple[str, Any]]], dict[str, Any]]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=object_of,
        parse_constant=_refuse_constant,
        parse_float=JsonFraction,
        parse_int=_whole_number,
    )


_DECODER = _decoder(_unique_object)


def _holds_clean_texts_only(text: str) -> bool:
    """Whether no text in a document can need cleaning: plain ASCII without escapes, in short documents."""
    # A line break can only stand between texts here: the parser takes none inside.
    return (
        len(text) <= MAX_STRING_CHARACTERS
        and text.isascii()
        and "\\" not in text
        and text.replace("\n", " ").isprintable()
    )


def _clean(value: Any, *steps: str | int) -> Any:
    if isinstance(value, str):
        return _clean_text(value, steps)
    if isinstance(value, dict):
        cleaned = {_clean_text(key, steps): _clean(inner, *steps, key) for key, inner in value.items()}
        if len(cleaned) != len(value):
            raise _malformed("duplicate_key", "an object gives the same key in two spellings; give each key once")
        return cleaned
    if isinstance(value, list):
        return [_clean(inner, *steps, index) for index, inner in enumerate(value)]
    return value


def _clean_text(text: str, steps: tuple[str | int, ...]) -> str:
    if text.isascii() and text.isprintable() and len(text) <= MAX_STRING_CHARACTERS:
        return text
    if _FORBIDDEN_CHARACTERS.search(text):
        raise _unclean(steps, "forbidden_character", "remove control, zero-width and direction characters")
    # Counted as it will be kept: a few characters become two or three in normal form C.
    composed = unicodedata.normalize("NFC", text)
    if _STACKED_MARKS.search(composed):
        raise _unclean(steps, "stacked_marks", "put at most 4 combining marks on one letter")
    if len(composed) > MAX_STRING_CHARACTERS:
        raise _unclean(steps, "text_too_long", f"keep each text within {MAX_STRING_CHARACTERS} characters")
    return composed


def _unclean(steps: tuple[str | int, ...], code: str, detail: str) -> MalformedJson:
    return MalformedJson(Fault(pointer(*steps), code, detail))


def _malformed(code: str, detail: str) -> MalformedJson:
    return MalformedJson(Fault("", code, detail))


def split_lines(body: bytes) -> Iterator[bytes]:
    """Yield the documents of an NDJSON body: one a line, blank lines passed over."""
    for line in body.split(b"\n"):
        stripped = line.strip(b" \t\r")
        if stripped:
            yield stripped


def split_array(body: bytes) -> list[bytes]:
    """Cut a JSON array into the bytes of its items, so that one bad item does not spoil its neighbours.

    Only the outer array is looked at here; each item is then read by `decode_json`. Raises MalformedJson.
    """
    text = body.strip(b" \t\r\n")
    if not text.startswith(b"["):
        raise _malformed("not_an_array", "send a JSON array of events")
    items: list[bytes] = []
    depth, start, end = 0, 1, -1
    for token in _ARRAY_TOKENS.finditer(text):
        mark = token.group()
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
        if (mark == b"," and depth == 1) or (depth == 0 and mark == b"]"):
            items.append(text[start : token.start()].strip())
            start = token.end()
        if depth == 0:
            end = token.end() if mark == b"]" else -1
            break
    if end != len(text):
        raise _malformed("not_json", "the array does not end where the body ends")
    return [] if items == [b""] else items
