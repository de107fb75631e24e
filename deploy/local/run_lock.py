"""One run per directory: a lock that a killed run cannot leave behind.

The kernel holds the lock for as long as the process lives, so there is no stale lock to argue about; the file's text
only tells the next one who it was.
"""

import fcntl
import json
import os
from pathlib import Path
from typing import IO, Self

from deploy.local.children import clear_leftover
from deploy.local.terminal import say


class AlreadyRunning(RuntimeError):
    """Another run uses this directory."""


class RunLock:
    """The lock of one run directory, held inside its `with`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "run.lock"
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Take the lock and clear what a killed run left behind. Raises AlreadyRunning."""
        self._directory.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+", encoding="utf-8")
        file.seek(0)
        before = file.read().strip()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise AlreadyRunning(
                f"{self._directory} is in use by another run{_told(before)}. Stop that one, or keep this one apart "
                "with RUN_DIR=some/other/folder."
            ) from None
        self._file = file
        if before:
            say(f"The last run in {self._directory}{_told(before)} was killed; cleaning up after it.")
        self._write(json.dumps({"pid": os.getpid()}))
        self._clear()
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lock; the empty file says that the run ended in good order."""
        if self._file is not None:
            self._write("")
            self._file.close()
            self._file = None

    def _write(self, text: str) -> None:
        assert self._file is not None
        self._file.seek(0)
        self._file.truncate()
        self._file.write(text)
        self._file.flush()

    def _clear(self) -> None:
        (self._directory / "run.json").unlink(missing_ok=True)
        for record in sorted((self._directory / "children").glob("*.json")):
            if clear_leftover(record):
                say(f"  ended its {record.stem}")


def _told(text: str) -> str:
    try:
        return f" (process {json.loads(text)['pid']})"
    except (ValueError, KeyError, TypeError):
        return ""
