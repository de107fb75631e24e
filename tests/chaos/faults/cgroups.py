"""Control groups of the first version: how much memory or processor time a process may have."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD_MICROSECONDS = 100_000


def needs_cgroup(controller: str) -> Callable[[], str | None]:
    """Return a test of whether this machine lets us make groups of a controller."""

    def missing() -> str | None:
        folder = ROOT / controller
        if not (folder / "cgroup.procs").exists():
            return f"there is no {controller} control group of the first version on this machine"
        return None if os.access(folder, os.W_OK) and os.geteuid() == 0 else "control groups need root"

    return missing


class Group:
    """One group. Processes that are in it at the end go back to where all are."""

    def __init__(self, controller: str, name: str) -> None:
        self._all = ROOT / controller
        self._folder = self._all / f"shouwang-{os.getpid()}-{name}"

    def take(self, pid: int) -> None:
        """Put a process into the group; what it allocates from now on counts here."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def set(self, name: str, value: int) -> None:
        """Set one of the group's limits."""
        (self._folder / name).write_text(str(value))

    def read(self, name: str) -> dict[str, int]:
        """Read a file of the group: lines of a word and a number, or a number alone (under "")."""
        lines = (line.rpartition(" ") for line in (self._folder / name).read_text().splitlines())
        return {word: int(number) for word, _, number in lines}


@contextlib.contextmanager
def group(controller: str, name: str) -> Iterator[Group]:
    """Make a group for the block."""
    made = Group(controller, name)
    made._folder.mkdir()
    try:
        yield made
    finally:
        for pid in (made._folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                (made._all / "cgroup.procs").write_text(pid)
        made._folder.rmdir()
