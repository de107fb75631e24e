"""Puts hooks into a service of this process, from outside: named functions are wrapped, the service knows nothing.

If a function is renamed or moved, the wrapping fails at once with its name, and so does the start of the service.
"""

import functools
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.driver import Driver
from tests.chaos.hooks import MARKS_VARIABLE, BlockLoop, Clock, Crash, DatabaseErrors, Hook, Planted, Raise


class Planned(RuntimeError):
    """What a Raise hook raises."""


@dataclass(slots=True)
class Patches:
    """What was wrapped in this process, so that tests can take it back."""

    _before: list[tuple[Any, str, Any]] = field(default_factory=list)

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace an attribute by what `make` makes of it. Raises AttributeError when there is none."""
        original = getattr(owner, name)
        self._before.append((owner, name, original))
        setattr(owner, name, make(original))

    def undo(self) -> None:
        """Put everything back."""
        while self._before:
            owner, name, original = self._before.pop()
            setattr(owner, name, original)


@dataclass(slots=True)
class Trips:
    """Counts how often each point is passed, and lets the hooks go off that wait there."""

    waiting: list[Crash | Raise]
    passed: Counter[str] = field(default_factory=Counter)

    def passing(self, point: str, number: int | None = None) -> None:
        """Pass a point; number: where not the passings of the whole process count. Raises Planned."""
        self.passed[point] += 1
        for hook in self.waits(point, self.passed[point] if number is None else number):
            self.waiting.remove(hook)
            mark(point)
            if isinstance(hook, Crash):
                os.kill(os.getpid(), signal.SIGKILL)
            raise Planned(f"planned at {point}")

    def waits(self, point: str, number: int) -> list[Crash | Raise]:
        """The hooks that go off at this passing."""
        return [hook for hook in self.waiting if hook.point == point and hook.nth == number]


def mark(line: str) -> None:
    """Leave a mark; it stays, whatever becomes of this process."""
    with Path(os.environ[MARKS_VARIABLE]).open("ab", buffering=0) as marks:
        marks.write(line.encode() + b"\n")


def install(service: str, hooks: Sequence[Hook]) -> Patches:
    """Put hooks into the service of this name, which runs in this process."""
    from tests.chaos import points

    patches = Patches()
    # Bugs first: the points are then those of the service as it is with them.
    for hook in hooks:
        match hook:
            case Planted(bug):
                from tests.chaos.planted_bugs import PLANTED_BUGS

                PLANTED_BUGS[bug]()
                mark(f"planted {bug}")
            case DatabaseErrors():
                _break_statements(hook, patches)
            case Clock(file):
                _shift_clock(Path(file), patches)
            case BlockLoop(file):
                points.add_task(service, Path(file), patches)
    trips = Trips([hook for hook in hooks if isinstance(hook, Crash | Raise)])
    if trips.waiting:
        points.wrap_points(service, trips, patches)
    return patches


def _break_statements(hook: DatabaseErrors, patches: Patches) -> None:
    """Let the server itself fail each k-th statement, so that driver and transaction behave as they really would."""
    failing = text(f"DO $$ BEGIN RAISE EXCEPTION 'planned' USING ERRCODE = '{hook.sqlstate}'; END $$")
    execute_first = AsyncConnection.execute
    count = 0

    async def fail_if_due(connection: AsyncConnection) -> None:
        nonlocal count
        count += 1
        if count % hook.every == 0:
            mark(f"sqlstate {hook.sqlstate}")
            await execute_first(connection, failing)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        async def execute(where: AsyncConnection | Driver, *arguments: Any, **options: Any) -> Any:
            await fail_if_due(where.connection if isinstance(where, Driver) else where)
            return await original(where, *arguments, **options)

        return execute

    patches.wrap(AsyncConnection, "execute", make)
    patches.wrap(Driver, "fetch", make)
    patches.wrap(Driver, "copy", make)


def _shift_clock(file: Path, patches: Patches) -> None:
    """Put the machine's clock off, and let the steady clock that carries on the database's time run at its pace."""
    from datetime import datetime, timedelta

    import shared.db.clock
    from shared.clock import SystemClock

    shift = ClockShift(file)

    def make(original: Any) -> Any:
        def now(clock: SystemClock) -> datetime:
            true: datetime = original(clock)
            return true + timedelta(seconds=shift.seconds())

        return now

    patches.wrap(SystemClock, "now", make)
    patches.wrap(shared.db.clock, "time", lambda _: shift)


@dataclass(slots=True)
class ClockShift:
    """What a file says of a clock: "3600" = an hour ahead; "3600 1.1" = and gaining a tenth from now on."""

    file: Path
    _read: tuple[int, int] | None = None
    _offset: float = 0.0
    _factor: float = 1.0
    _since: float = field(default_factory=time.monotonic)
    _drifted: float = 0.0

    def seconds(self) -> float:
        """How far the machine's clock is ahead now."""
        self._look()
        return self._offset + (self._factor - 1) * (time.monotonic() - self._since)

    def monotonic(self) -> float:
        """In place of time.monotonic: the same pace as the machine's clock, and no jumps."""
        self._look()
        return time.monotonic() + self._drifted + (self._factor - 1) * (time.monotonic() - self._since)

    def _look(self) -> None:
        try:
            status = self.file.stat()
            seen, said = (status.st_mtime_ns, status.st_ino), ""
            if seen != self._read:
                said = self.file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            seen, said = None, "0"
        if seen == self._read or not said:  # empty: somebody is just writing it
            return
        now = time.monotonic()
        self._drifted += (self._factor - 1) * (now - self._since)
        offset, _, factor = said.partition(" ")
        self._read, self._offset, self._factor, self._since = seen, float(offset), float(factor or 1), now
        mark(f"clock {said}")
