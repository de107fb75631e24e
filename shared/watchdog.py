"""Ends a process whose event loop no longer turns, or that has been ending for too long: it answers nobody.

A thread counts the beats of a task on the loop. It counts its own looks, not seconds, so that a process that was frozen
and thawed as a whole is not taken for one whose loop hangs.
"""

import asyncio
import contextlib
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Iterator

LOOK_EVERY_SECONDS = 5.0
LOOKS_WITHOUT_BEAT = 9
EXIT_STATUS = 70


def end_process_within(seconds: float) -> None:
    """End the process from outside its loop unless it has ended by itself by then, and say what still ran.

    A program that has decided to end may wait for ever for something that it closes, and nobody would start it anew.
    """
    loop = asyncio.get_running_loop()

    def end() -> None:
        time.sleep(seconds)
        running = sorted(f"{task.get_name()} ({task.get_coro()!r})" for task in asyncio.all_tasks(loop))
        sys.stderr.write(f"the process did not end within {seconds:g} s; still running: {'; '.join(running)}\n")
        faulthandler.dump_traceback(file=sys.stderr)
        os._exit(EXIT_STATUS)

    threading.Thread(target=end, name="end of the process", daemon=True).start()


@contextlib.contextmanager
def loop_watchdog(
    *, look_every_seconds: float = LOOK_EVERY_SECONDS, looks_without_beat: int = LOOKS_WITHOUT_BEAT
) -> Iterator[None]:
    """Watch the running loop while the block lasts; end the process with its stacks on stderr when it hangs."""
    beats = 0
    ended = threading.Event()

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(look_every_seconds / 2)

    def watch() -> None:
        seen, missed = -1, 0
        while not ended.wait(look_every_seconds):
            missed = missed + 1 if beats == seen else 0
            seen = beats
            if missed >= looks_without_beat:
                sys.stderr.write(f"the event loop has not turned for {missed * look_every_seconds:.0f} s; giving up\n")
                faulthandler.dump_traceback(file=sys.stderr)
                # Not an exception: nothing of the loop's would run to its end.
                os._exit(EXIT_STATUS)

    beating = asyncio.get_running_loop().create_task(beat(), name="watchdog")
    watcher = threading.Thread(target=watch, name="watchdog", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        beating.cancel()
        watcher.join()
