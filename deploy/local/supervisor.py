"""Keeps a handful of child programs running: started in order, restarted when they die, stopped in reverse order.

A plan is a list of `Child` (runs on) and `Step` (runs once). Each begins when all that it `needs` is ready, so what
does not depend on each other starts at the same time.
"""

import asyncio
import contextlib
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from deploy.local.children import Command, descendants, spawn, stop, wait_gone
from deploy.local.log_watch import WORTH_SHOWING, LogWatch
from deploy.local.readiness import NotReady, wait_until
from deploy.local.terminal import last_lines, say

DEATHS_ALLOWED = 5
DEATHS_WITHIN_SECONDS = 60.0
BACK_OFF_SECONDS = (0.5, 1.0, 2.0, 4.0)
LOOK_EVERY_SECONDS = 0.2
# A run begun with nohup goes on when its terminal is closed.
STOP_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    *([signal.SIGHUP] if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN else []),
)
Result = TypeVar("Result")


class RunFailed(RuntimeError):
    """The run cannot go on; the text is for the person at the terminal."""


async def _no_wait() -> None:
    """A child without a readiness probe is ready once it runs."""


def _nothing() -> None:
    """Default of `other_ports`."""


@dataclass(frozen=True, slots=True)
class Child:
    """A program that is meant to run until the end.

    prepare: makes its command each time it is started (may block; runs in a thread of its own).
    ready: one probe; raises while the child is not ready. other_ports: called when it ended before it was ready.
    may_finish: an exit with code 0 is an end in good order, not a death. worth_showing: log lines for the terminal.
    """

    name: str
    prepare: Callable[[], Command]
    ready: Callable[[], Awaitable[None]] = _no_wait
    needs: Sequence[str] = ()
    other_ports: Callable[[], None] = _nothing
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0
    start_seconds: float = 60.0
    may_finish: bool = False
    worth_showing: re.Pattern[str] = WORTH_SHOWING


@dataclass(frozen=True, slots=True)
class Step:
    """Something done once on the way; raises RunFailed when it cannot be done."""

    name: str
    run: Callable[[], Awaitable[None]]
    needs: Sequence[str] = ()


@dataclass(slots=True)
class _Running:
    """A child and its process of the moment."""

    child: Child
    process: "subprocess.Popen[bytes] | None" = None
    deaths: deque[float] = field(default_factory=deque)


class Supervisor:
    """Runs a plan in one directory.

    directory: gets `logs/<name>.log` and `children/<name>.json`.
    """

    def __init__(self, directory: Path, plan: Sequence[Child | Step]) -> None:
        self._directory = directory
        self._plan = plan
        self._began = time.monotonic()
        self._ready = {entry.name: asyncio.Event() for entry in plan}
        self._running: list[_Running] = []
        self._stopping = False
        self._hurry = False

    async def run(self, stop_asked: asyncio.Event, when_ready: Callable[[], None] = _nothing) -> None:
        """Run the plan until `stop_asked`; always leaves with every child ended.

        when_ready: called once, as soon as every entry of the plan is ready. Raises RunFailed.
        """
        tasks = [asyncio.create_task(self._tend(entry), name=entry.name) for entry in self._plan]
        tasks.append(asyncio.create_task(self._announce(when_ready), name="announce"))
        asked = asyncio.create_task(stop_asked.wait(), name="stop asked")
        try:
            await self._until_stop_or_failure(tasks, asked)
        finally:
            self._stopping = True
            for task in (*tasks, asked):
                task.cancel()
            await asyncio.gather(*tasks, asked, return_exceptions=True)
            await self._stop_all()

    def hurry(self) -> None:
        """Do not wait for children that are being stopped (a second Ctrl-C)."""
        self._hurry = True

    @property
    def seconds_running(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def process_ids(self) -> dict[str, int]:
        """Process id of each child that runs."""
        return {at.child.name: at.process.pid for at in self._running if at.process and at.process.poll() is None}

    async def _until_stop_or_failure(self, tasks: list[asyncio.Task[None]], asked: asyncio.Task[bool]) -> None:
        waiting: set[asyncio.Task[None] | asyncio.Task[bool]] = {*tasks, asked}
        while asked in waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # raises what ended it

    async def _announce(self, when_ready: Callable[[], None]) -> None:
        for event in self._ready.values():
            await event.wait()
        when_ready()

    async def _tend(self, entry: Child | Step) -> None:
        for name in entry.needs:
            await self._ready[name].wait()
        if isinstance(entry, Step):
            await entry.run()
            self._is_ready(entry.name, "done")
            return
        at = _Running(entry)
        self._running.append(at)
        while True:
            died = await self._one_life(at)
            if not died:
                return
            await self._mourn(at, died)

    async def _one_life(self, at: _Running) -> str:
        """Start a child and stay until it ends; how it died, or nothing when it finished in good order."""
        child = at.child
        command = await in_thread(child.prepare)
        log = self._log(child)
        at.process = process = spawn(command, log, self._directory / "children" / f"{child.name}.json")
        try:
            await wait_until(child.ready, seconds=child.start_seconds, still_alive=lambda: process.poll() is None)
        except NotReady as error:
            if process.poll() is not None and not self._ready[child.name].is_set():
                child.other_ports()
            if not (child.may_finish and process.poll() == 0):
                await in_thread(lambda: _end(process, signal.SIGKILL, 5))
                return str(error)
        self._is_ready(child.name, "ready")
        watch = LogWatch(child.name, log, child.worth_showing)
        while process.poll() is None:
            watch.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        watch.look()
        return "" if child.may_finish and process.returncode == 0 else _how_it_ended(process.returncode)

    async def _mourn(self, at: _Running, died: str) -> None:
        """Say loudly that a child died, and wait before the next try. Raises RunFailed at the fifth in a minute."""
        now = time.monotonic()
        at.deaths.append(now)
        while now - at.deaths[0] > DEATHS_WITHIN_SECONDS:
            at.deaths.popleft()
        if len(at.deaths) >= DEATHS_ALLOWED:
            raise RunFailed(
                f"{at.child.name} died {len(at.deaths)} times within a minute ({died}); its last log lines:\n"
                + last_lines(self._log(at.child))
            )
        pause = BACK_OFF_SECONDS[min(len(at.deaths), len(BACK_OFF_SECONDS)) - 1]
        lines = last_lines(self._log(at.child), 8)
        say(f"!! {at.child.name} died ({died}); starting it again in {pause} s. Its last log lines:\n{lines}")
        await asyncio.sleep(pause)

    async def _stop_all(self) -> None:
        for at in reversed(self._running):
            process = at.process
            if process is not None and process.poll() is None:
                await self._stop_one(at.child, process)
            (self._directory / "children" / f"{at.child.name}.json").unlink(missing_ok=True)

    async def _stop_one(self, child: Child, process: "subprocess.Popen[bytes]") -> None:
        say(f"stopping {child.name}")
        stopping = asyncio.ensure_future(in_thread(lambda: _end(process, child.stop_signal, child.stop_seconds)))
        while not stopping.done():
            if self._hurry:
                process.kill()
            await asyncio.wait([stopping], timeout=LOOK_EVERY_SECONDS)
        if not stopping.result() and not self._hurry:
            say(f"!! {child.name} did not end within {child.stop_seconds:.0f} s and was killed")

    def _is_ready(self, name: str, word: str) -> None:
        if not self._ready[name].is_set():
            say(f"  {self.seconds_running:5.1f} s  {name} {word}")
        self._ready[name].set()

    def _log(self, child: Child) -> Path:
        return self._directory / "logs" / f"{child.name}.log"


def _end(process: "subprocess.Popen[bytes]", how: signal.Signals, seconds: float) -> bool:
    """Stop a child and see off what it had started itself; True when it ended by itself."""
    below = descendants(process.pid)
    by_itself = stop(process, how, seconds=seconds)
    wait_gone(below, seconds=5)
    return by_itself


def _how_it_ended(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


async def in_thread(work: Callable[[], Result]) -> Result:
    """Run blocking work in a thread that does not keep the program from ending (asyncio's own threads do)."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Result] = loop.create_future()

    def deliver(result: Result | None, error: BaseException | None) -> None:
        if answer.cancelled():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def body() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:  # handed to the awaiting task
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the run ended meanwhile
            loop.call_soon_threadsafe(deliver, result, failure)

    threading.Thread(target=body, daemon=True).start()
    return await answer


def ask_to_stop_on_signals(stop_asked: asyncio.Event, supervisor: Supervisor) -> None:
    """SIGINT, SIGTERM and a closed terminal (SIGHUP) stop the run; a second signal does not wait."""

    def asked() -> None:
        if stop_asked.is_set():
            supervisor.hurry()
        stop_asked.set()

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, asked)
