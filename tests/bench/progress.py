"""Tells a person at a terminal what is being measured; silent elsewhere."""

import sys
import time


class Progress:
    """One line on stderr, rewritten in place."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._title = ""

    def begin(self, title: str) -> None:
        """Name what is measured from now on."""
        self._title = title
        self.step("")

    def step(self, what: str) -> None:
        """Say what is being done for it."""
        if sys.stderr.isatty():
            passed = time.monotonic() - self._began
            told = " · ".join(part for part in (f"{passed:4.0f} s", self._title, what) if part)
            sys.stderr.write(f"\r\033[K{told}")
            sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
