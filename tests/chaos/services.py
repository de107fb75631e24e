"""The services as child processes, each started again by a keeper when it dies, as a supervisor would."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import httpx2

from deploy.local.children import LOG_KEEP_BYTES, Command, spawn
from deploy.local.places import REPOSITORY
from deploy.local.ports import LOOPBACK
from tests.chaos.hooks import HOOKS_VARIABLE, MARKS_VARIABLE, Hook, ends_with_process, write_hooks
from tests.chaos.servers import read_from

Kind = Literal["ingest", "scorer", "notifier"]
LOOK_EVERY_SECONDS = 0.05
BACK_OFF_SECONDS = 0.2
STOP_SECONDS = 10.0
ASK_READY_EVERY_SECONDS = 0.15


class Service:
    """One service process under a fixed name and at a fixed address.

    The keeper starts it again 0.2 s after its death, with the same environment and hooks, but without Crash and Raise.
    """

    deaths: list[tuple[float, int]]
    """Those that nobody ordered by `restart` or `hold_down`, oldest first: (time.monotonic() of the moment it was
    noticed, exit status); a negative status is the signal that killed it."""

    def __init__(self, name: str, kind: Kind, port: int, directory: Path, http: httpx2.AsyncClient) -> None:
        self.name = name
        self.kind: Kind = kind
        self.base_url = f"http://{LOOPBACK}:{port}"
        self.deaths = []
        self.planted: Sequence[Hook] = ()
        """Hooks that stay until they are taken away, whatever restarts it: the self-test's bugs."""
        self._port = port
        self._directory = directory
        self._http = http
        self._record = directory / "children" / f"{name}.json"
        self._marks = directory / "marks" / name
        self._log = directory / "logs" / f"{name}.log"
        self._log_put_aside = 0
        self._settings: Mapping[str, str] = {}
        self._hooks: list[Hook] = []
        self._extra: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._start_at = 0.0
        self._frozen = False

    @property
    def pid(self) -> int:
        """Process id; raises RuntimeError while there is none."""
        if not self.running:
            raise RuntimeError(f"{self.name} is not running")
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def paused(self) -> bool:
        """Whether it was paused and not resumed since."""
        return self.running and self._frozen

    @property
    def altered(self) -> bool:
        """Whether it is held down, or runs with hooks or an environment of a fault's."""
        return not self._wanted or bool(self._hooks or self._extra)

    def kill(self) -> None:
        """End it with SIGKILL; the keeper starts it again."""
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM; the keeper starts it again once it has ended."""
        self._signal(signal.SIGTERM)

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""
        self._signal(signal.SIGSTOP)
        self._frozen = True

    def resume(self) -> None:
        """Thaw it."""
        self._signal(signal.SIGCONT)
        self._frozen = False

    def hold_down(self) -> None:
        """Kill it and keep it down until `restart`."""
        self._wanted = False
        self.kill()

    async def restart(self, hooks: Sequence[Hook] = (), environment: Mapping[str, str] | None = None) -> None:
        """End it (SIGTERM, after 10 s SIGKILL) and start it with these hooks and these additions to its environment.

        Returns when the new process is started, not when it is ready. Earlier marks are forgotten.
        """
        written = write_hooks([*self.planted, *hooks])
        await self.end()
        self._forget_marks()
        self._hooks, self._extra = list(hooks), dict(environment or {})
        self._start(written)
        self._wanted = True

    async def wait_ready(self, seconds: float = 60.0) -> None:
        """Wait until /readyz says 200; raises TimeoutError with what it said last."""
        said = "nothing"
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                answer = await self._http.get(f"{self.base_url}/readyz")
            except httpx2.HTTPError as error:
                said = type(error).__name__
            else:
                if answer.status_code == 200:
                    return
                said = f"{answer.status_code} {answer.text[:300]}"
            await asyncio.sleep(ASK_READY_EVERY_SECONDS)
        last = (self.log_text().strip().splitlines() or ["nothing"])[-1][:300]
        raise TimeoutError(f"{self.name} is not ready after {seconds:.0f} s; it said last: {said}; its log: {last}")

    async def metrics(self) -> dict[str, float]:
        """Its metrics by name with labels as they stand there: `shouwang_x_total{channel="smtp"}`; OSError if away."""
        try:
            answer = await self._http.get(f"{self.base_url}/metrics")
            answer.raise_for_status()
        except httpx2.HTTPError as error:
            raise OSError(f"{self.name} tells no metrics: {type(error).__name__}") from error
        lines = (line.rpartition(" ") for line in answer.text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def log_text(self, since: int = 0) -> str:
        """Its log from a mark on, over all its lives."""
        return read_from(self._log, since - self._log_put_aside)

    def log_mark(self) -> int:
        """The present end of its log."""
        return self._log_put_aside + (self._log.stat().st_size if self._log.exists() else 0)

    def marks(self) -> list[str]:
        """What hooks wrote since the last `restart`; see hooks.py."""
        return read_from(self._marks, 0).splitlines()

    def memory_bytes(self) -> int:
        """Resident memory; 0 while there is no process."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        except (RuntimeError, OSError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def open_files(self) -> int:
        """Open file descriptors; 0 while there is no process."""
        try:
            return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))
        except (RuntimeError, OSError):
            return 0

    def begin_anew(self, world: str, settings: Mapping[str, str]) -> None:
        """Start it for a world of that name, with a new log and nothing remembered; the old process must be gone."""
        self._log = self._directory / "logs" / world / f"{self.name}.log"
        self._log_put_aside = 0
        self._settings, self._hooks, self._extra = settings, [], {}
        self.deaths.clear()
        self._forget_marks()
        self._start(write_hooks(self.planted))
        self._wanted = True

    async def end(self, *, at_once: bool = False) -> None:
        """End it and keep it down."""
        self._wanted = False
        self.resume()
        self._signal(signal.SIGKILL if at_once else signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self.running:
            if time.monotonic() > deadline:
                self.kill()
            await asyncio.sleep(LOOK_EVERY_SECONDS / 2)
        self._process = None
        self._record.unlink(missing_ok=True)

    def look(self) -> None:
        """Note a death, and start it again when its time has come; the keeper calls this."""
        if self._process is not None and not self.running:
            if self._wanted:
                self.deaths.append((time.monotonic(), self._process.returncode))
            self._process, self._frozen = None, False
            self._start_at = time.monotonic() + BACK_OFF_SECONDS
        if self._process is None and self._wanted and time.monotonic() >= self._start_at:
            self._hooks = [hook for hook in self._hooks if not ends_with_process(hook)]
            self._start(write_hooks([*self.planted, *self._hooks]))

    def _start(self, hooks: str) -> None:
        if self._log.exists() and self._log.stat().st_size > LOG_KEEP_BYTES:  # spawn puts it aside
            self._log_put_aside += self._log.stat().st_size
        environment = {
            **os.environ,
            **self._settings,
            f"SHOUWANG_{self.kind.upper()}_HOST": LOOPBACK,
            f"SHOUWANG_{self.kind.upper()}_PORT": str(self._port),
            # Static membership; ingest is in no group and does not know the setting.
            f"SHOUWANG_{self.kind.upper()}_INSTANCE": self.name,
            **self._extra,
            HOOKS_VARIABLE: hooks,
            MARKS_VARIABLE: str(self._marks),
        }
        argv = [sys.executable, "-m", "tests.chaos.launcher", self.kind, "serve"]
        command = Command(argv, environment=environment, directory=REPOSITORY)
        self._process, self._frozen = spawn(command, self._log, self._record), False

    def _forget_marks(self) -> None:
        self._marks.parent.mkdir(parents=True, exist_ok=True)
        self._marks.write_bytes(b"")

    def _signal(self, how: signal.Signals) -> None:
        if self._process is not None and self.running:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, how)


async def keep(services: Sequence[Service]) -> None:
    """Start services again that die, for as long as this runs."""
    while True:
        for service in services:
            service.look()
        await asyncio.sleep(LOOK_EVERY_SECONDS)
