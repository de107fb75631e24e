"""Fuzz one target with Atheris until its time is up; `python -m tests.fuzz` starts one process of this per target.

usage: python -m tests.fuzz.one TARGET SECONDS CORPUS_FOLDER FINDS_FOLDER
"""

import hashlib
import sys
import time
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # it has none

# Of these modules every branch taken is counted; inputs that take new ones are kept and changed further.
READERS = [
    "shared.codec",
    "shared.events",
    "shared.policy",
    "shared.grade_message",
    "services.ingest",
    "services.scorer.read_record",
    "services.notifier.channels.webhook",
    "services.notifier.console.routes",
    "services.notifier.imports",
    "services.notifier.sheets",
    "services.notifier.raise_alert",
    "services.notifier.routes",
]
MOST_BYTES = 64 * 1024
SLOW_SECONDS = 1.0

with atheris.instrument_imports(include=READERS):
    from tests.fuzz.mutate import mutate
    from tests.fuzz.targets import TARGETS


class TooSlow(Exception):
    """One input kept the processor busy for longer than any request may."""


def main(name: str, seconds: str, corpus: str, finds: str) -> None:
    """Write the seeds into the corpus and fuzz."""
    target = TARGETS[name]
    for seed in target.seeds():
        (Path(corpus) / hashlib.sha256(seed).hexdigest()[:20]).write_bytes(seed)

    def run(body: bytes) -> None:
        started = time.process_time()
        target.run(body)
        taken = time.process_time() - started
        if taken > SLOW_SECONDS:
            raise TooSlow(f"{taken:.1f} s of processor time")

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MOST_BYTES}",
        f"-artifact_prefix={finds}/",
        # For what never ends; what is merely slow is told by its processor time, whatever else the machine does.
        "-timeout=30",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    mutator = {"custom_mutator": mutate} if target.takes_json else {}
    atheris.Setup([sys.argv[0], *options, corpus], run, **mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:5])
