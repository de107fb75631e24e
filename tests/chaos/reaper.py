"""Ends what a chaos run that was killed had started, whatever state it is in.

The kernel ends our children when we die (deploy/local/children.py). A frozen PostgreSQL would not notice: it is sent a
signal that waits until somebody thaws it. So each run has a reaper beside it: a process that does nothing but wait for
its standard input to end, which the kernel closes with us, and then kills what the records in the run's directory name.

    python -m tests.chaos.reaper DIRECTORY
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.local.children import descendants, is_same_process, read_record
from deploy.local.places import REPOSITORY

END_SECONDS = 10.0


@contextmanager
def reaper(directory: Path) -> Iterator[None]:
    """Keep a reaper beside us for the length of a block."""
    argv = [sys.executable, "-m", "tests.chaos.reaper", str(directory)]
    log = directory / "logs" / "reaper.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        # Not through the launcher: it must outlive us.
        process = subprocess.Popen(
            argv, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(END_SECONDS)


def reap(directory: Path) -> int:
    """Kill everything that the records below a directory name, with what it started; how many processes that were."""
    found: list[int] = []
    for record in directory.rglob("children/*.json"):
        noted = read_record(record)
        if noted is not None and is_same_process(noted):
            pid = int(str(noted["pid"]))
            found += [pid, *descendants(pid)]
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(found)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.buffer.read()
    killed = reap(Path(sys.argv[1]))
    if killed:
        print(f"killed {killed} processes that were left behind", flush=True)
