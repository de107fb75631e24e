"""Waiting for something that another process does."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from deploy.local.children import start_time


def eventually(happened: Callable[[], bool], *, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.05)
    return happened()


def recorded_processes(run_directory: Path) -> dict[str, int]:
    """Process id by child name, as the run has noted them."""
    records = (run_directory / "children").glob("*.json")
    return {record.stem: json.loads(record.read_text(encoding="utf-8"))["pid"] for record in records}


def all_gone(processes: dict[str, int], *, seconds: float = 10.0) -> bool:
    return eventually(lambda: not any(start_time(pid) for pid in processes.values()), seconds=seconds)
