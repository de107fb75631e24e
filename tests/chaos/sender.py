"""Sends parcels of events, household by household in order, again and again until each event has its ok or fail."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.field_app import FieldApp, FieldEvent, Form


@dataclass(frozen=True, slots=True)
class Parcel:
    """Events that leave in one request."""

    events: Sequence[FieldEvent]
    form: Form = Form.ONE


@dataclass(slots=True)
class _Waiting:
    """What of a parcel has no ok or fail yet."""

    events: tuple[FieldEvent, ...]
    form: Form
    attempts: int = 0


class Sender:
    """One queue for each household; queues never wait for each other, but where a parcel stands in several.

    Nothing leaves until `go`.
    """

    def __init__(self, app: FieldApp) -> None:
        self._app = app
        self._open = asyncio.Event()
        self._tails: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[asyncio.Task[None], _Waiting] = {}
        self._failure: BaseException | None = None

    def queue(self, parcel: Parcel) -> None:
        """Put a parcel behind everything that its households have in their queues."""
        households = {event.household for event in parcel.events}
        before = [self._tails[household] for household in households if household in self._tails]
        waiting = _Waiting(tuple(parcel.events), parcel.form)
        task = asyncio.create_task(self._deliver(waiting, before))
        self._waiting[task] = waiting
        self._tails.update(dict.fromkeys(households, task))
        task.add_done_callback(self._ended)

    def go(self) -> None:
        """Let requests leave."""
        self._open.set()

    async def hold(self) -> None:
        """Let no more requests leave, and wait for those under way."""
        self._open.clear()
        await self._app.quiet()
        self._raise_failure()

    async def drain(self, until: float) -> int:
        """Wait until nothing is left, or until time.monotonic() passes `until`; how many events are left."""
        while self._waiting and (left := until - time.monotonic()) > 0:
            await asyncio.wait(list(self._waiting), timeout=left)
            self._raise_failure()
        return self.unknown + self.unsent

    async def close(self) -> None:
        """Give up what is left."""
        tasks = list(self._waiting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._raise_failure()

    @property
    def unknown(self) -> int:
        """Events that were sent and have neither ok nor fail."""
        return sum(len(waiting.events) for waiting in self._waiting.values() if waiting.attempts)

    @property
    def unsent(self) -> int:
        """Events that no request has held yet."""
        return sum(len(waiting.events) for waiting in self._waiting.values() if not waiting.attempts)

    async def _deliver(self, waiting: _Waiting, before: Sequence[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        while waiting.events:
            while not self._open.is_set():
                await self._open.wait()
            waiting.attempts += 1
            attempt = await self._app.post(waiting.events, waiting.form, waiting.attempts)
            waiting.events = attempt.unknown
            if waiting.events:
                await asyncio.sleep(attempt.pause_seconds)

    def _ended(self, task: asyncio.Task[None]) -> None:
        waiting = self._waiting.pop(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            # A journal that cannot write, or a bug of ours: the witness is no good any more, and must say so.
            self._failure = self._failure or failure
            waiting.events = ()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
