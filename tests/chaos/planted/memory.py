"""Memory that grows at a switch, so that the kernel has a reason to kill. No bug, but put in place like one."""

import os
import threading
import time
from pathlib import Path

MEMORY_VARIABLE = "SHOUWANG_CHAOS_MEMORY"
"""Names the file whose appearance makes the process grow without end."""
STEP_BYTES = 1_048_576
PAUSE_SECONDS = 0.02
_kept: list[bytearray] = []


def grows_at_a_switch() -> None:
    """Grow by some fifty megabytes a second while the file is there."""
    switch = Path(os.environ[MEMORY_VARIABLE])

    def grow() -> None:
        while True:
            if switch.exists():
                _kept.append(bytearray(b"\1" * STEP_BYTES))
            time.sleep(PAUSE_SECONDS)

    threading.Thread(target=grow, name="memory", daemon=True).start()
