"""What the local Kafka and the local PostgreSQL have in common: one child program with a directory of its own.

Usable from ordinary code as a context manager, and by the supervisor, which asks only for `prepare` and `ready`.
"""

import contextlib
import signal
import subprocess
from pathlib import Path
from typing import ClassVar, Self

from deploy.local.children import Command, clear_leftover, descendants, spawn, stop, wait_gone
from deploy.local.readiness import NotReady, run_blocking, wait_until
from deploy.local.terminal import last_lines, say

START_TRIES = 3


class ServerFailed(RuntimeError):
    """A local server did not start; the text holds the last lines of its log."""


class LocalServer:
    """One server program; subclasses say how to prepare it and when it is ready.

    directory: where it keeps its files and its log; nothing else may use it at the same time.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 60.0
    stop_seconds: ClassVar[float] = 20.0

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory).resolve()
        self.home = self.directory / self.name
        self.log = self.directory / "logs" / f"{self.name}.log"
        self.record = self.directory / "children" / f"{self.name}.json"
        self._child: subprocess.Popen[bytes] | None = None

    def prepare(self) -> Command:
        """Fetch, lay out and choose ports; the command that starts the server. Blocks."""
        raise NotImplementedError

    async def ready(self) -> None:
        """One real round trip; raises while the server cannot do it."""
        raise NotImplementedError

    def choose_other_ports(self) -> None:
        """Forget the ports: the server ended before it was ready, perhaps because somebody was faster."""

    @property
    def pid(self) -> int:
        """Process id of the running server. Raises ServerFailed when it does not run."""
        if not self.running:
            raise ServerFailed(f"{self.name} is not running")
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> Self:
        """Start the server and return when it is ready. Raises ServerFailed, InUse, or what `prepare` raises."""
        if self.running:
            return self
        for attempt in range(1, START_TRIES + 1):
            self.launch()
            try:
                run_blocking(self.wait_ready)
            except NotReady as error:
                ended = not self.running
                self.kill()
                if not ended or attempt == START_TRIES:
                    raise ServerFailed(f"{self.name}: {error}\n{last_lines(self.log)}") from error
                self.choose_other_ports()
            except BaseException:  # Ctrl-C while waiting: leave nothing behind
                self.kill()
                raise
            else:
                break
        return self

    def launch(self) -> None:
        """Start the server's process without waiting for it. Raises what `prepare` raises, InUse."""
        if clear_leftover(self.record):
            say(f"{self.name}: ended what a killed run had left behind")
        self._child = spawn(self.prepare(), self.log, self.record)

    async def wait_ready(self) -> None:
        """Wait until a launched server is ready. Raises NotReady."""
        await wait_until(self.ready, seconds=self.start_seconds, still_alive=lambda: self.running)

    def stop(self) -> None:
        """End the server in good order."""
        if self._child is not None and self.running:
            below = descendants(self._child.pid)
            stop(self._child, self.stop_signal, seconds=self.stop_seconds)
            wait_gone(below, seconds=5)
        self.record.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the server like a power cut (SIGKILL), with what it had started."""
        if self._child is not None and self.running:
            below = descendants(self._child.pid)
            stop(self._child, signal.SIGKILL, seconds=10)
            wait_gone(below, seconds=10)
        self.record.unlink(missing_ok=True)

    def restart(self) -> Self:
        """Stop and start; addresses and what is stored stay."""
        self.stop()
        return self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            self.stop()
