"""The strict decoder written down plainly, step by step and without a short cut; the real one must agree with it."""

import json
import unicodedata

from shared.codec import JsonFraction

MOST_CHARACTERS = 4_000


class Refused(Exception):
    """code and pointer of the fault."""

    def __init__(self, code, pointer=""):
        super().__init__(code, pointer)
        self.code, self.pointer = code, pointer


def decode(body, limits):
    if body[:3] == b"\xef\xbb\xbf" or body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Refused("byte_order_mark")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("not_utf8") from None
    if text.strip() == "":
        raise Refused("empty")
    if deepest(text) > limits.depth:
        raise Refused("too_deep")
    seen = []

    def whole(digits):
        if len(digits) > 18:
            raise Refused("number_too_long")
        return int(digits)

    def constant(_name):
        raise Refused("not_finite")

    def unique(pairs):
        seen.extend(pairs)
        if len(seen) > limits.keys:
            raise Refused("too_many_keys")
        if len({key for key, _ in pairs}) < len(pairs):
            raise Refused("duplicate_key")
        return dict(pairs)

    try:
        document = json.loads(
            text, object_pairs_hook=unique, parse_int=whole, parse_constant=constant, parse_float=JsonFraction
        )
    except json.JSONDecodeError:
        raise Refused("not_json") from None
    return clean(document, "")


def deepest(text):
    depth = most = 0
    inside = escaped = False
    for one in text:
        if inside:
            inside = escaped or one != '"'
            escaped = one == "\\" and not escaped
        elif one == '"':
            inside = True
        elif one in "[{":
            depth += 1
            most = max(most, depth)
        elif one in "]}":
            depth -= 1
    return most


def clean(value, pointer):
    if isinstance(value, str):
        return clean_text(value, pointer)
    if isinstance(value, list):
        return [clean(one, f"{pointer}/{index}") for index, one in enumerate(value)]
    if isinstance(value, dict):
        cleaned = {}
        for key, one in value.items():
            name = clean_text(key, pointer)
            cleaned[name] = clean(one, f"{pointer}/{key if shown(key) else '?'}")
        if len(cleaned) < len(value):
            raise Refused("duplicate_key")
        return cleaned
    return value


def shown(key):
    word = key.isascii() and key.replace("_", "a").isalnum() and not key[0].isdigit() and len(key) <= 40
    return word or (key.isascii() and key.isdigit() and len(key) <= 6)


def clean_text(text, pointer):
    if any(forbidden(one) for one in text):
        raise Refused("forbidden_character", pointer)
    text = unicodedata.normalize("NFC", text)
    marks = 0
    for one in text:
        marks = marks + 1 if stacks(ord(one)) else 0
        if marks == 5:
            raise Refused("stacked_marks", pointer)
    if len(text) > MOST_CHARACTERS:
        raise Refused("text_too_long", pointer)
    return text


def forbidden(character):
    at = ord(character)
    return (
        (at < 0x20 and character != "\n")
        or 0x7F <= at <= 0x9F
        or at == 0x061C
        or 0x200B <= at <= 0x200F
        or 0x2028 <= at <= 0x202E
        or 0x2060 <= at <= 0x2069
        or 0xD800 <= at <= 0xDFFF
        or 0xFDD0 <= at <= 0xFDEF
        or at == 0xFEFF
        or 0xFFF9 <= at <= 0xFFFF
        or 0xE0000 <= at <= 0xE007F
        or at & 0xFFFE == 0xFFFE
    )


def stacks(at):
    blocks = (
        *((0x300, 0x36F), (0x483, 0x489), (0x64B, 0x65F), (0xE34, 0xE3A), (0xE47, 0xE4E), (0x1AB0, 0x1AFF)),
        *((0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F)),
    )
    return any(first <= at <= last for first, last in blocks)
