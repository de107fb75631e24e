"""Our own computing: one stretch at a time, with short pauses in which everything else on the event loop goes on."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

Thing = TypeVar("Thing")
Made = TypeVar("Made")

PAUSE_AFTER_SECONDS = 0.005


class Computing:
    """Stretches of computing for several batches, in the order in which they are asked for.

    Taken in turns, all batches would be done with computing at about the same time, and then all of them would wait
    for the database at once. One after the other, the database has work while the next one computes.
    """

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def each(self, make: Callable[[Thing], Made], things: Iterable[Thing]) -> list[Made]:
        """Return what is made of each thing."""
        made: list[Made] = []
        async with self._one:
            pause_at = time.perf_counter() + PAUSE_AFTER_SECONDS
            for thing in things:
                made.append(make(thing))
                if time.perf_counter() >= pause_at:
                    await asyncio.sleep(0)
                    pause_at = time.perf_counter() + PAUSE_AFTER_SECONDS
        return made
