"""How a service process lives: tasks under supervision, one stop signal, an HTTP server beside them.

A task that ends while nobody asked it to is an outage that nobody sees. `run_service` therefore ends the process as
soon as one of its tasks raises or returns early, and says which; and a watchdog ends it when its event loop hangs.
"""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

import uvicorn
import uvloop

from shared.http.protocol import http_protocol
from shared.http.protocol_limits import HttpLimits
from shared.logs import get_logger
from shared.metrics import ServiceMetrics
from shared.watchdog import end_process_within, loop_watchdog

log = get_logger(__name__)
# So many more objects than there were before the youngest are looked at; so many such looks before those that stayed
# are, too; and so many of these before all are. The usual (10, 10) would let the cycles of a flood lie about.
COLLECT_AFTER = (20_000, 2, 2)
CLOSE_SECONDS = 30.0
"""How long a service that has drained may take to close what it opened, and to end."""

Work = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class TaskDied(RuntimeError):
    """A supervised task ended although no stop had been asked for."""


class _QuietServer(uvicorn.Server):
    """A server that leaves signals to `run_service`: health and metrics answer until the last task has drained."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(app: object, host: str, port: int, limits: HttpLimits, metrics: ServiceMetrics) -> uvicorn.Server:
    """Return a uvicorn server for `run_service`; logs go through our own configuration."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        http=http_protocol(limits, metrics),  # type: ignore[arg-type]
        ws="none",
        timeout_graceful_shutdown=5,
    )
    return _QuietServer(config)


async def run_service(
    server: uvicorn.Server,
    tasks: Mapping[str, Work],
    *,
    drain_seconds: float = 10.0,
    close_seconds: float | None = None,
) -> None:
    """Run the tasks and the HTTP server until SIGTERM or SIGINT, then drain.

    Each task receives the stop event and must return soon after it is set; past `drain_seconds` it is cancelled.
    HTTP goes on until the tasks are done. close_seconds: within so long afterwards the process must have ended; else
    it is ended. Raises TaskDied, or the exception of the task that failed.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve(), name="http")
    running = [asyncio.create_task(work(stop), name=name) for name, work in tasks.items()]
    with loop_watchdog():
        try:
            await _first_end(running, serving, stop)
        finally:
            stop.set()
            await _drain(running, drain_seconds)
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
            if close_seconds is not None:
                end_process_within(close_seconds)
    _raise_failure(running, serving)


async def _first_end(running: Sequence[asyncio.Task[None]], serving: asyncio.Task[None], stop: asyncio.Event) -> None:
    stopping: asyncio.Task[Any] = asyncio.create_task(stop.wait(), name="stop")
    watched: list[asyncio.Task[Any]] = [*running, serving, stopping]
    done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    if stopping not in done:
        stopping.cancel()
        ended = ", ".join(sorted(task.get_name() for task in done))
        log.error("a task ended without being asked to; the process stops", tasks=ended)
        for task in done:
            if task.cancelled() or task.exception() is None:
                raise TaskDied(f"ended early: {ended}")


async def _drain(running: Sequence[asyncio.Task[None]], drain_seconds: float) -> None:
    if not running:
        return
    _, late = await asyncio.wait(running, timeout=drain_seconds)
    for task in late:
        log.error("a task did not drain in time and is cancelled", seconds=drain_seconds)
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def _raise_failure(running: Sequence[asyncio.Task[None]], serving: asyncio.Task[None]) -> None:
    for task in [*running, serving]:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a service's main coroutine on the fastest event loop that the platform has."""
    try:
        if sys.platform == "win32":
            asyncio.run(main)
        else:
            uvloop.run(main)
    except Exception:
        # As one line of the log, and not as a traceback that a terminal would decorate with values.
        log.exception("the service ends with a fault of its own")
        raise SystemExit(1) from None


def calm_collector() -> None:
    """Let the collector of cycles look seldom, and not at what was there at the start; for a process that is ready.

    Requests and events make next to no cycles, but with many under way the collector's default is to look at all of
    their objects over and over: a tenth of ingest's processor time, a sixth of the scorer's own.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


async def every(seconds: float, step: Callable[[], Awaitable[bool]], stop: asyncio.Event) -> None:
    """Call `step` until stop is set: again at once while it answers True (there was work), else after `seconds`."""
    while not stop.is_set():
        if not await step():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), seconds)
