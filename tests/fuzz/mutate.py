"""Changes to a JSON document that leave it JSON, so that an input comes past the parser and into the checks."""

import json
import random
from typing import Any

import atheris  # type: ignore[import-untyped]  # it has none

from tests.corpus import nasty_strings

_TEXTS = [text for lists in (nasty_strings.SOUND, nasty_strings.REFUSED) for texts in lists.values() for text in texts]
_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 3.0, 1e400, 2**53 + 1, 10**17, [], {}, [[]], {"a": {"a": {"a": 1}}}),
    *("2026-03-02", "2026-03-02T09:30:00+08:00", "12.50", "990100101201", "e-1", "H-1", "survey", "\U0001d160" * 1_400),
    *_TEXTS,
]


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change one value of a document, or any bytes; called by libFuzzer."""
    dice = random.Random(seed)
    if dice.random() < 0.6:
        try:
            document = json.loads(data)
            _change(document, dice)
            changed = json.dumps(document, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError, IndexError):
            changed = b""
        if 0 < len(changed) <= max_size:
            return changed
    mutated: bytes = atheris.Mutate(data, max_size)
    return mutated


def _change(where: Any, dice: random.Random) -> None:
    """Go down to a random place and put something else there, take it away, or put it there twice."""
    while True:
        places = list(where) if isinstance(where, dict) else range(len(where)) if isinstance(where, list) else []
        place = dice.choice(places)
        if isinstance(where[place], dict | list) and where[place] and dice.random() < 0.7:
            where = where[place]
            continue
        match dice.randrange(4):
            case 0:
                del where[place]
            case 1 if isinstance(where, dict):
                where[dice.choice([*places, *_TEXTS])] = where[place]
            case 2 if isinstance(where, list):
                where.append(where[place])
            case _:
                where[place] = dice.choice(_VALUES)
        return
