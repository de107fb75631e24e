"""Shows on stderr how far the feed is: a bar on a terminal, else a line every few seconds. Counts only, no names."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

EVERY_SECONDS = 3.0
TROUBLE_EVERY_SECONDS = 30.0


def say(line: str) -> None:
    """One line for the person, or the log."""
    print(f"county: {line}", file=sys.stderr, flush=True)


class SeldomSay:
    """Says things, but one line in so many seconds at most."""

    def __init__(self, every_seconds: float) -> None:
        self._every = every_seconds
        self._last = float("-inf")

    def __call__(self, line: str) -> None:
        """Say the line unless another was said just now."""
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            say(line)


@contextmanager
def counting(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function that is told how many are done."""
    if not sys.stderr.isatty():
        seldom = SeldomSay(EVERY_SECONDS)
        yield lambda done: seldom(f"{title}: {done} of {total}")
        return
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)
