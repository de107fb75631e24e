"""Decodes records for some seconds, and tells how many a second; needs a core and nothing else:

python -m tests.bench.scoring.keep_busy SECONDS FILE
"""

import sys
import time
from datetime import timedelta
from pathlib import Path

from services.scorer.read_record import read_record
from shared.bus.ports import Record
from tests.bench.load.events import messages
from tests.bench.load.households import Load


def main(seconds: float, answer: Path) -> None:
    """Decode the same records again and again."""
    load = Load(households=100, events=200)
    made = [Record(at, one.subject.encode(), one.to_bytes(), 0) for at, one in enumerate(messages(load))]
    now, times = load.now + timedelta(hours=1), 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for record in made:
            read_record(record, now)
        times += 1
    answer.write_text(str(times * len(made) / (time.perf_counter() - began)), encoding="utf-8")


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]))
