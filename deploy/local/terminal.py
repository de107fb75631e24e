"""What the local platform says on the terminal: short lines on stderr, progress that stays on one line."""

import sys
from pathlib import Path


def say(line: str) -> None:
    """One line for the person in front of the terminal."""
    print(line, file=sys.stderr, flush=True)


class ProgressLine:
    """A line that is rewritten in place on a terminal, and printed every now and then elsewhere."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = ""

    def show(self, state: str) -> None:
        """Show the newest state, unless it is the one that is shown."""
        if state == self._shown:
            return
        self._shown = state
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{self._title}: {state}")
            sys.stderr.flush()
        else:
            say(f"{self._title}: {state}")

    def done(self) -> None:
        """Leave the line behind."""
        if sys.stderr.isatty() and self._shown:
            sys.stderr.write("\n")


def last_lines(log: Path, count: int = 20) -> str:
    """The end of a log, for an error message."""
    if not log.exists():
        return "(no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 32768))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(f"    {line[:400]}" for line in lines[-count:]) or "(the log is empty)"
