"""What differs between two policies, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from shared.policy.faults import Path, dotted
from shared.policy.model import Policy


class Absent(Enum):
    """Stands for a field that one of the two does not have; null is a value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs. path: dotted; entries of a list that have a `code` go by it, others by their place."""

    path: str
    old: Any
    new: Any


def compare(old: Policy, new: Policy) -> tuple[Difference, ...]:
    """List the differing fields in the order of the file; none = the same policy, with the same content hash."""
    return tuple(_differences((), old.model_dump(mode="json"), new.model_dump(mode="json")))


def _differences(path: Path, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences((*path, key), old.get(key, ABSENT), new.get(key, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        by_code = _by_code(old), _by_code(new)
        if by_code[0] is not None and by_code[1] is not None:
            yield from _differences(path, by_code[0], by_code[1])
            yield from _order(path, list(by_code[0]), list(by_code[1]))
        elif _plain(old) and _plain(new):
            yield from _change(path, old, new)
        else:
            places = range(max(len(old), len(new)))
            for place in places:
                yield from _differences((*path, place), _at(old, place), _at(new, place))
    else:
        yield from _change(path, old, new)


def _change(path: Path, old: Any, new: Any) -> Iterator[Difference]:
    if old != new:
        yield Difference(dotted(path), old, new)


def _order(path: Path, old: list[str], new: list[str]) -> Iterator[Difference]:
    both = [[code for code in codes if code in old and code in new] for codes in (old, new)]
    yield from _change((*path, "(order)"), *both)


def _by_code(entries: list[Any]) -> dict[str, Any] | None:
    if not all(isinstance(entry, dict) and "code" in entry for entry in entries):
        return None
    return {entry["code"]: entry for entry in entries}


def _plain(entries: list[Any]) -> bool:
    return not any(isinstance(entry, dict | list) for entry in entries)


def _at(entries: list[Any], place: int) -> Any:
    return entries[place] if place < len(entries) else ABSENT
