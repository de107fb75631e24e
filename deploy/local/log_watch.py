"""Shows on the terminal those lines of a child's log that a person should see."""

import re
import time
from pathlib import Path

from deploy.local.terminal import say

# JSON logs of the services, and what Python and Java print when something is wrong.
WORTH_SHOWING = re.compile(r'"level": ?"(warning|error|critical)"|\b(WARNING|ERROR|CRITICAL|FATAL|PANIC|Traceback)\b')
LINES_PER_WINDOW = 10
WINDOW_SECONDS = 10.0
LINE_LENGTH = 400


class LogWatch:
    """Follows one log from its present end. name: the prefix on the terminal."""

    def __init__(self, name: str, log: Path, pattern: re.Pattern[str] = WORTH_SHOWING) -> None:
        self._name = name
        self._log = log
        self._pattern = pattern
        self._offset = log.stat().st_size if log.exists() else 0
        self._window_began = 0.0
        self._shown = 0

    def look(self) -> None:
        """Print the new lines worth showing, not more than a few in ten seconds."""
        for line in self._new_lines():
            if self._pattern.search(line) and self._may_show():
                say(f"[{self._name}] {line[:LINE_LENGTH]}")

    def _new_lines(self) -> list[str]:
        if not self._log.exists():
            return []
        size = self._log.stat().st_size
        self._offset = min(self._offset, size)  # the log was put aside
        with self._log.open("rb") as file:
            file.seek(self._offset)
            fresh = file.read(1024 * 1024)
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.decode("utf-8", "replace").splitlines()

    def _may_show(self) -> bool:
        now = time.monotonic()
        if now - self._window_began > WINDOW_SECONDS:
            self._window_began, self._shown = now, 0
        self._shown += 1
        if self._shown == LINES_PER_WINDOW + 1:
            say(f"[{self._name}] … more in {self._log}")
        return self._shown <= LINES_PER_WINDOW
