"""A process whose event loop hangs ends itself; one that was only frozen as a whole does not."""

import signal
import subprocess
import sys
import time

from shared.watchdog import EXIT_STATUS

PROGRAM = """
import asyncio, sys, time
from shared.watchdog import loop_watchdog

async def main():
    with loop_watchdog(look_every_seconds=0.1, looks_without_beat=3):
        print("ready", flush=True)
        if sys.argv[1] == "hang":
            time.sleep(30)
        await asyncio.sleep(1.5)

asyncio.run(main())
"""


STUCK = """
import asyncio
from shared.watchdog import end_process_within

async def main():
    print("ready", flush=True)
    end_process_within(0.3)
    await asyncio.create_task(asyncio.sleep(30), name="closing something")

asyncio.run(main())
"""


def started(how: str, program: str = PROGRAM) -> "subprocess.Popen[str]":
    child = subprocess.Popen([sys.executable, "-c", program, how], stdout=-1, stderr=-1, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_a_hanging_event_loop_ends_the_process_and_shows_where_it_hangs() -> None:
    _, said = (child := started("hang")).communicate(timeout=10)
    assert child.returncode == EXIT_STATUS
    assert "has not turned" in said
    assert 'File "<string>", line 9 in main' in said


def test_a_process_that_cannot_close_what_it_opened_is_ended_and_says_what_still_ran() -> None:
    _, said = (child := started("", STUCK)).communicate(timeout=10)
    assert child.returncode == EXIT_STATUS
    assert "did not end within 0.3 s; still running:" in said
    assert "closing something" in said


def test_a_process_that_was_frozen_and_thawed_goes_on() -> None:
    child = started("turn")
    child.send_signal(signal.SIGSTOP)
    time.sleep(1)
    child.send_signal(signal.SIGCONT)
    _, said = child.communicate(timeout=10)
    assert (child.returncode, said) == (0, "")
