"""Journals: JSON lines that are on disk before anybody acts on them.

A witness must not depend on what it watches: each line is forced to disk (fdatasync), many at a time, by a thread of
the journal's own, so that writing never holds up an event loop.
"""

import asyncio
import json
import os
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Journal:
    """Appends to one file. Every method may be called from any thread.

    A file that exists is continued. If the disk fails, every write that was or is handed over raises that OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._wake = threading.Condition()
        self._waiting: list[tuple[bytes, Future[None]]] = []
        self._closed = False
        self._broken: OSError | None = None
        self._writer = threading.Thread(target=self._write_groups, name=f"journal-{path.stem}", daemon=True)
        self._writer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def write(self, **facts: Any) -> Future[None]:
        """Append one line, with "at" (unix seconds) before the facts; the future is done once it is on disk.

        Lines stand in the file in the order of the calls, and so do their "at".
        """
        done: Future[None] = Future()
        # From now on nobody can cancel it: a caller that gives up must not take the line with it.
        done.set_running_or_notify_cancel()
        with self._wake:
            if self._closed:
                raise ValueError(f"the journal {self.path.name} is closed")
            if self._broken is not None:
                raise self._broken
            line = json.dumps({"at": time.time(), **facts}, ensure_ascii=False, allow_nan=False)
            self._waiting.append((line.encode() + b"\n", done))
            self._wake.notify()
        return done

    async def written(self, **facts: Any) -> None:
        """Append one line and return once it is on disk."""
        await asyncio.wrap_future(self.write(**facts))

    def close(self) -> None:
        """Write what is waiting, then let go of the file. A second call does nothing."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._writer.join()

    def _write_groups(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._closed)
                group, self._waiting = self._waiting, []
            if not group:
                break
            self._write(group)
        os.close(self._descriptor)

    def _write(self, group: list[tuple[bytes, Future[None]]]) -> None:
        try:
            if self._broken is not None:
                raise self._broken
            _write_all(self._descriptor, b"".join(line for line, _ in group))
            os.fdatasync(self._descriptor)
        except OSError as error:
            with self._wake:
                self._broken = error
            for _, done in group:
                done.set_exception(error)
            return
        for _, done in group:
            done.set_result(None)


def _write_all(descriptor: int, text: bytes) -> None:
    left = memoryview(text)
    while left:
        left = left[os.write(descriptor, left) :]


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal; a last line that was torn by a kill is left out. No file: no lines.

    Raises ValueError for a line that is broken anywhere else.
    """
    if not path.exists():
        return []
    *whole, _torn = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in whole]
