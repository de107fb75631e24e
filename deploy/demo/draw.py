"""Drawing from seeded chance: amounts, shares, and identifiers ordered by time."""

import math
from collections.abc import Mapping
from datetime import datetime
from random import Random
from typing import TypeVar
from uuid import UUID

Choice = TypeVar("Choice")
LARGEST_YUAN = 300_000
_HEX_LETTERS = (0xA, 0xB, 0xC, 0xD, 0xE, 0xF)


def pick(chance: Random, weights: Mapping[Choice, float]) -> Choice:
    """Choose one key by its weight."""
    return chance.choices(list(weights), weights=list(weights.values()))[0]


def log_normal_yuan(chance: Random, median: float, sigma: float, *, step: int = 10) -> int:
    """Whole yuan around a median, a multiple of `step`, from one step to 300,000."""
    drawn = chance.lognormvariate(math.log(median), sigma)
    return min(max(step, round(drawn / step) * step), LARGEST_YUAN)


def as_amount(chance: Random, yuan: int) -> int | str:
    """An amount as it travels: whole yuan as a number, and for some a text with fen."""
    return f"{yuan}.{chance.randrange(100):02d}" if chance.random() < 0.2 else yuan


def time_ordered_id(chance: Random, instant: datetime) -> str:
    """A UUID of version 7 for an instant, from seeded chance.

    One of its random digits is always a letter: else a run of digits could look like a telephone number.
    """
    milliseconds = int(instant.timestamp() * 1000)
    node = chance.getrandbits(48) & ~(0xF << 24) | chance.choice(_HEX_LETTERS) << 24
    low = 0b10 << 62 | chance.getrandbits(14) << 48 | node
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | chance.getrandbits(12) << 64 | low))
