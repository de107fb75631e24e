"""Brokers and database as child processes that can be killed, frozen and started again."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from deploy.local.children import descendants
from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres
from deploy.local.readiness import NotReady, wait_until
from deploy.local.server import LocalServer

LOOK_EVERY_SECONDS = 0.02
HowPostgresStops = Literal["smart", "fast", "immediate"]
_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Server:
    """A broker or the database as a child process.

    `kill`, `stop`, `start`, `pause`, `resume` return at once (kill: when the process is gone); they may be called in
    any state and then do what is left to do, except that `start` raises RuntimeError while a stopping one still runs.
    """

    def __init__(self, name: str, local: LocalServer) -> None:
        self.name = name
        self._local = local
        self._stopping = False
        self._frozen: list[int] = []

    @property
    def running(self) -> bool:
        """Whether the process is there, paused or not."""
        return self._local.running

    @property
    def paused(self) -> bool:
        """Whether it was paused and not resumed since."""
        return self.running and bool(self._frozen)

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end and has not yet."""
        return self.running and self._stopping

    @property
    def pid(self) -> int:
        """Process id of the running server; raises RuntimeError while there is none."""
        return self._local.pid

    def kill(self) -> None:
        """End it like a power cut (SIGKILL, with all it started)."""
        if self.running:
            # The first process first: it would start the others anew. Frozen ones would not notice that it is gone.
            _signal_all([self.pid, *descendants(self.pid)], signal.SIGKILL)
        self._local.kill()
        self._frozen.clear()

    def stop(self) -> None:
        """Ask it to end in good order; `wait_stopped` tells when it has."""
        self._ask(signal.SIGTERM)

    def start(self) -> None:
        """Start it again, at the same addresses; `wait_ready` tells when it works."""
        if self.stopping:
            raise RuntimeError(f"{self.name} is still stopping; await wait_stopped() first")
        if self.running:
            return
        self._stopping = False
        self._frozen.clear()
        self._local.launch()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): it accepts connections and answers nothing."""
        if self.running and not self._frozen:
            _signal_all([self.pid], signal.SIGSTOP)  # first: it must not start another one meanwhile
            self._frozen = [self.pid, *descendants(self.pid)]
            _signal_all(self._frozen[1:], signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw it."""
        _signal_all(self._frozen[::-1], signal.SIGCONT)
        self._frozen.clear()

    async def wait_ready(self, seconds: float = 60.0) -> None:
        """Wait until it works; raises TimeoutError."""
        try:
            await wait_until(self._local.ready, seconds=seconds, still_alive=lambda: self.running)
        except NotReady as error:
            raise TimeoutError(f"{self.name}: {error}") from error

    async def wait_stopped(self, seconds: float = 30.0) -> None:
        """Wait until the process is gone; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while self.running:
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    def log_text(self, since: int = 0) -> str:
        """Its log from a mark on."""
        return read_from(self._local.log, since)

    def log_mark(self) -> int:
        """The present end of its log."""
        return self._local.log.stat().st_size

    def _ask(self, how: signal.Signals) -> None:
        if self.running:
            self._stopping = True
            self.resume()
            _signal_all([self.pid], how)


class Broker(Server):
    """One of the three brokers. bootstrap: its own direct address, `host:port`. data: the folder of its log."""

    def __init__(self, node_id: int, local: LocalKafka) -> None:
        super().__init__(f"broker {node_id}", local)
        self.node_id = node_id
        self.bootstrap = local.bootstrap_servers
        self.data: Path = local.home / "data"


class Postgres(Server):
    """The database server."""

    def __init__(self, local: LocalPostgres) -> None:
        super().__init__("postgres", local)
        self._postgres = local
        self.database = "shouwang"
        self.data: Path = local.home / "files"

    @property
    def dsn(self) -> str:
        """The direct address of the world's present database, as superuser."""
        return self.dsn_of(self.database)

    def dsn_of(self, database: str) -> str:
        """The same for another database of the server."""
        return self._postgres.dsn_of(database)

    def stop(self, how: HowPostgresStops = "fast") -> None:
        """Ask it to end: fast rolls open transactions back, immediate is a crash that recovery must mend."""
        self._ask(_SIGNALS[how])


def read_from(log: Path, since: int) -> str:
    """The text of a file from a byte on; empty when there is no file."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, since))
        return file.read().decode("utf-8", "replace")


def _signal_all(pids: Sequence[int], how: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, how)
