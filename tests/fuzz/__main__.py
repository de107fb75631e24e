"""Fuzz every reader of bytes from outside, then the HTTP interface: `make fuzz SECONDS=60`.

Whatever is found is kept under .local/fuzz/finds beside a file with its repr, and the exit status is 1. What was learnt
is kept under .local/fuzz/corpus and is where the next run begins.
"""

import argparse
import asyncio
import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz import openapi
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".local" / "fuzz"
AT_ONCE = min(2, os.cpu_count() or 1)
# Of the time given; the rest is for the HTTP interface.
SHARE_OF_TARGETS = 0.7


def fuzz(name: str, seconds: int) -> list[Path]:
    """Fuzz one target; return the inputs that were found, new ones only."""
    corpus, finds = KEPT / "corpus" / name, KEPT / "finds" / name
    for folder in (corpus, finds):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(finds.iterdir())
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.one", name, str(seconds), str(corpus), str(finds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
    )
    found = sorted(set(finds.iterdir()) - before)
    executed = next((line for line in ended.stderr.splitlines() if "number_of_executed_units" in line), "0")
    print(f"{name}: {executed.rpartition(':')[2].strip()} inputs in {seconds} s, {len(found)} finds", flush=True)
    if ended.returncode:
        print(ended.stderr[-4_000:], flush=True)
    return [_with_repr(find) for find in found] or ([finds] if ended.returncode else [])


def _with_repr(find: Path) -> Path:
    shown = find.with_name(find.name + ".repr")
    shown.write_text(repr(find.read_bytes()) + "\n", encoding="utf-8")
    return shown


def fuzz_all(seconds: int) -> list[Path]:
    """Fuzz all targets in turn within the time given."""
    if importlib.util.find_spec("atheris") is None:
        print("The readers are left out: Atheris has no wheel for this machine (Linux on x86-64, Python 3.11 to 3.13).")
        return []
    each = max(1, round(seconds * AT_ONCE / len(TARGETS)))
    with ThreadPoolExecutor(AT_ONCE) as lanes:
        found = list(lanes.map(lambda name: fuzz(name, each), TARGETS))
    return [find for finds in found for find in finds]


def main() -> int:
    """Return 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="time for all of it, beside the start of each part")
    seconds = parser.parse_args().seconds
    finds = fuzz_all(round(seconds * SHARE_OF_TARGETS))
    dishonest = asyncio.run(openapi.main(examples=1_000, seconds=round(seconds * (1 - SHARE_OF_TARGETS))))
    for find in finds:
        print(f"found: {find}")
    print(f"fuzz: {len(TARGETS)} readers, {len(finds)} finds; OpenAPI {'does not hold' if dishonest else 'holds'}")
    return 1 if finds or dishonest else 0


if __name__ == "__main__":
    sys.exit(main())
