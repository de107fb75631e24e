"""Keeps identity and telephone numbers out of what people write, however they are spelt.

The payload models refuse them where a field is known. Here is what no model looks into (the free fields of a
correction, the episode) and how people and keyboards write numbers: with the country's code, in groups, in full width.
Only the edge asks for this: what stands on the log already must stay readable.
"""

import re
import unicodedata
from collections.abc import Iterator

from shared.codec import pointer
from shared.errors import Fault
from shared.events.envelope import EventMessage

_GAP = "[ -]?"
_PERSONAL = re.compile(
    r"(?<![0-9])(?:"
    rf"(?:(?:00)?86{_GAP})?1[3-9][0-9]{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}"
    rf"|[0-9]{{6}}{_GAP}[0-9]{{8}}{_GAP}[0-9]{{3}}[0-9Xx]"
    r"|[0-9]{15}"
    r")(?![0-9])"
)
# Of ASCII text; other characters may stand for several digits each.
_FEWEST_CHARACTERS = 11
# They name events and households, and a client may make them of any digits.
_NAMES = frozenset({"ref", "ref_source", "merged_into", "household_id"})


def personal_numbers(event: EventMessage) -> Iterator[Fault]:
    """Yield a fault for each text of an event that holds such a number."""
    if event.episode:
        yield from _found_in(event.episode, "/episode")
    for field, value in event.data.items():
        # Where the places are is only worked out for the few that have one.
        if field not in _NAMES and _holds_one(value):
            yield from _found_in(value, pointer("data", field))


def _holds_one(value: object) -> bool:
    if isinstance(value, str):
        return _is_one(value)
    if isinstance(value, dict):
        return any(map(_holds_one, value.values()))
    return isinstance(value, list) and any(map(_holds_one, value))


def _is_one(text: str) -> bool:
    if text.isascii():
        return len(text) >= _FEWEST_CHARACTERS and _PERSONAL.search(text) is not None
    return _PERSONAL.search(unicodedata.normalize("NFKC", text)) is not None


def _found_in(value: object, path: str) -> Iterator[Fault]:
    if isinstance(value, str):
        if _is_one(value):
            detail = "leave identity and telephone numbers out; refer to people by pseudonym"
            yield Fault(path, "personal_number", detail)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _found_in(inner, path + pointer(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _found_in(inner, path + pointer(index))
