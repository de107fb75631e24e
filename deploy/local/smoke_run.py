"""A whole `make run` of its own for one proof: started, waited for, stopped, and looked for afterwards."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import Popen

from deploy.local.children import Command, descendants, spawn, start_time, stop, wait_gone
from deploy.local.places import REPOSITORY
from deploy.local.terminal import last_lines, say

READY_SECONDS = 600.0  # the first time, Kafka and Java are fetched; a run that fails ends by itself long before
STOP_SECONDS = 60.0
GONE_SECONDS = 5.0
LOOK_EVERY_SECONDS = 0.1
READY_WORD = "Shouwang is ready"
SHOWN_LOGS = ("ingest", "scorer", "notifier", "sinks")


class SmokeFailed(RuntimeError):
    """The proof did not come about; the text says at which step."""


class SmokeRun:
    """One run in a new directory, without households. Use as a context manager: it always leaves nothing running."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.left_behind: list[str] = []
        self._output = directory / "smoke" / "output.log"
        self._process: Popen[bytes] | None = None

    def __enter__(self) -> "SmokeRun":
        self.directory.mkdir(parents=True)
        argv = [sys.executable, "-m", "deploy.local.run"]
        # SIGTERM also when we are killed: then the run stops what it started, in order.
        command = Command(argv, environment=self._environment(), directory=REPOSITORY, dies_by=signal.SIGTERM)
        self._process = spawn(command, self._output, self.directory / "smoke" / "process.json")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, Exception):  # not when somebody stops us
            say(self.last_words())
        self.end()
        for what in self.left_behind:
            say(f"left behind: {what}")

    def _environment(self) -> Mapping[str, str]:
        """Ours, but with this run's directory and servers of its own: a smoke household belongs in no database."""
        kept = {
            key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS")
        }
        return {**kept, "RUN_DIR": str(self.directory), "SEED": "none"}

    def wait_ready(self) -> Mapping[str, str]:
        """Pass on what the run says until it is ready; its handles (see run.json). Raises SmokeFailed."""
        assert self._process is not None
        file, shown, deadline = self.directory / "run.json", 0, time.monotonic() + READY_SECONDS
        while not file.exists():
            if self._process.poll() is not None:
                raise SmokeFailed(f"the run ended with exit code {self._process.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise SmokeFailed(f"the run was not ready after {READY_SECONDS:.0f} s")
            shown = self._pass_on(shown)
            time.sleep(LOOK_EVERY_SECONDS)
        handles: Mapping[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return handles

    def _pass_on(self, shown: int) -> int:
        """Print the run's new lines, but nothing of what it tells when it is ready: that holds a key."""
        lines = self._output.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        for line in lines[shown:]:
            if line.startswith(READY_WORD):
                break
            say(line)
        return len(lines)

    def end(self) -> None:
        """Stop the run, note what it left behind in `left_behind`, and remove its directory. May be called twice."""
        if self._process is None:
            return
        process, self._process = self._process, None
        below = descendants(process.pid)
        ended_before = process.poll() is not None
        if not stop(process, signal.SIGTERM, seconds=STOP_SECONDS):
            self.left_behind.append(f"the run did not stop within {STOP_SECONDS:.0f} s and was killed")
        elif process.returncode != 0 and not ended_before:
            self.left_behind.append(f"an exit code of {process.returncode} in place of 0")
        self.left_behind += _still_there(below)
        if (self.directory / "run.json").exists():
            self.left_behind.append("run.json")
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.directory.exists():
            self.left_behind.append(f"the directory {self.directory}")

    def last_words(self) -> str:
        """The last log lines of each service and of the run itself."""
        logs = [log for name in SHOWN_LOGS if (log := self.directory / "logs" / f"{name}.log").exists()]
        shown = [f"{log.stem}:\n{last_lines(log, 12)}" for log in logs]
        said = self._output.read_text(encoding="utf-8", errors="replace").partition(READY_WORD)[0].splitlines()
        return "\n".join([*shown, "run:", *(f"    {line}" for line in said[-15:])])


def _still_there(processes: Sequence[int]) -> list[str]:
    """Those processes that run on, as words; the machine is given a moment."""
    if wait_gone(processes, seconds=GONE_SECONDS):
        return []
    return [f"process {pid}" for pid in processes if start_time(pid) is not None]
