"""Turns at the database: some transactions side by side, first come, first served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """As many at once as keep the database and this process busy; more would only make each of them slower.

    Who holds a turn for longer than `patience_seconds`, because of a lock perhaps, goes on, but the next one need not
    wait for him any more: nobody is held up by the slowest.
    """

    def __init__(self, at_once: int, patience_seconds: float) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._patience_seconds = patience_seconds
        self._waiting = 0

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for his turn."""
        return self._waiting > 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn and have it."""
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._free.release()

        impatience = asyncio.get_running_loop().call_later(self._patience_seconds, give_back)
        try:
            yield
        finally:
            impatience.cancel()
            give_back()
