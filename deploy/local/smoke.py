"""`make smoke`: proves the main job on this machine (`python -m deploy.local.smoke [--json]`).

A run of its own is started in an empty directory: real Kafka, real PostgreSQL, the three services, a mail server and
a webhook receiver. A household is enrolled, a major illness of 60,000 yuan is posted over HTTP, and the red alert is
waited for at both receivers. One round to warm up, three to measure; then everything is stopped and removed.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2
from rich.console import Console
from rich.table import Table

from deploy.local.children import start_time
from deploy.local.places import REPOSITORY
from deploy.local.smoke_round import Round, Times
from deploy.local.smoke_run import SmokeFailed, SmokeRun
from deploy.local.terminal import say

ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One measured time: the middle one of the rounds (which is judged) and the slowest."""

    name: str
    limit_seconds: float
    middle_seconds: float
    slowest_seconds: float

    @property
    def passed(self) -> bool:
        """Whether the middle time is below the limit."""
        return self.middle_seconds < self.limit_seconds


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of it. left_behind: what the stopped run did not clear away. seconds: of the whole proof."""

    lines: Sequence[Line]
    left_behind: Sequence[str]
    ready_seconds: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every time is below its limit and nothing was left behind."""
        return all(line.passed for line in self.lines) and not self.left_behind


def prove(directory: Path) -> Proof:
    """Run the proof in a directory that does not exist yet. Raises SmokeFailed."""
    began = time.monotonic()
    with SmokeRun(directory) as run:
        handles = run.wait_ready()
        ready_seconds = time.monotonic() - began
        say("  one round to warm up, three to measure")
        headers = {"authorization": f"Bearer {handles['api_key']}"}
        with httpx2.Client(headers=headers, timeout=10.0, trust_env=False) as client:
            times = [Round(client, handles, directory).measure() for _ in range(1 + ROUNDS)][1:]
    return Proof(lines_of(times), run.left_behind, ready_seconds, time.monotonic() - began)


def lines_of(times: Sequence[Times]) -> list[Line]:
    """Set the rounds against the limits that hold for a machine at rest."""
    measured = (
        ("to 202", 0.1, [one.accepted for one in times]),
        ("to red", 1.0, [one.red for one in times]),
        ("to receipt (mail)", 2.0, [one.mail for one in times]),
        ("to receipt (webhook)", 2.0, [one.webhook for one in times]),
    )
    return [Line(name, limit, statistics.median(seconds), max(seconds)) for name, limit, seconds in measured]


def show(proof: Proof) -> None:
    """Print the table and the verdict."""
    table = Table(title="From a household's illness to the people who help")
    for heading in ("", "time", "slowest of 3", "limit", ""):
        table.add_column(heading, justify="left" if not heading else "right")
    for line in proof.lines:
        word = "PASS" if line.passed else "FAIL"
        times = (line.middle_seconds, line.slowest_seconds, line.limit_seconds)
        table.add_row(line.name, *map(_duration, times), word)
    Console().print(table)
    verdict = "PASS" if proof.passed else "FAIL"
    print(f"{verdict}: ready in {proof.ready_seconds:.1f} s, all done and cleared away in {proof.seconds:.1f} s")


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _as_json(proof: Proof) -> str:
    lines = [{**asdict(line), "passed": line.passed} for line in proof.lines]
    return json.dumps({**asdict(proof), "lines": lines, "passed": proof.passed}, indent=2)


def clear_leftovers(parent: Path) -> None:
    """Remove directories of proofs that were killed; their servers ended with them."""
    for directory in parent.glob("smoke-*"):
        owner = directory.name.removeprefix("smoke-")
        if owner.isdecimal() and start_time(int(owner)) is None:
            shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    """Prove it and say so; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as JSON (times in seconds)")
    options = parser.parse_args()
    # As an exception, so that the run is stopped and its directory removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    clear_leftovers(REPOSITORY / ".local")
    try:
        proof = prove(REPOSITORY / ".local" / f"smoke-{os.getpid()}")
    except SmokeFailed as failure:
        print(json.dumps({"passed": False, "failure": str(failure)}) if options.json else f"FAIL: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(_as_json(proof))
    else:
        show(proof)
    return 0 if proof.passed else 1


if __name__ == "__main__":
    sys.exit(main())
