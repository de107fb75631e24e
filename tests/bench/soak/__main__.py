"""Run the whole machine steadily: `python -m tests.bench.soak [--minutes 20] [--rate 1000] [--households 200000]`.

Exit status: 0 if every event was taken and graded, 1 if not, 2 for a wrong command.
"""

import argparse
import json
import sys
from collections.abc import Sequence

import uvloop

from tests.bench.__main__ import STOPPED, logs_to_stderr
from tests.bench.document import DOCUMENT, with_table
from tests.bench.settings import BenchSettings
from tests.bench.soak.run import Plan, soak
from tests.bench.soak.show import BEGIN, END, as_document, lines_of

LONG_MINUTES, LARGE_RATE, MANY_HOUSEHOLDS = 20.0, 1_000.0, 200_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description="Run everything steadily.")
    parser.add_argument("--minutes", type=float, default=LONG_MINUTES)
    parser.add_argument("--rate", type=float, default=LARGE_RATE, help="events a second")
    parser.add_argument("--households", type=int, default=MANY_HOUSEHOLDS)
    given = parser.parse_args(arguments)
    plan = Plan(given.minutes, given.rate, given.households)
    if not (0 < plan.minutes <= 1_440 and 0 < plan.rate <= 100_000 and 250 <= plan.households <= 10_000_000):
        parser.error("give up to 1440 minutes, up to 100000 events a second, 250 to 10000000 households")
    logs_to_stderr()
    settings = BenchSettings()
    try:
        soaked = uvloop.run(soak(plan, settings))
    except KeyboardInterrupt:
        sys.stderr.write("stopped by hand; nothing is kept of it\n")
        return STOPPED
    settings.directory.mkdir(parents=True, exist_ok=True)
    written = json.dumps(as_document(soaked), ensure_ascii=False, indent=1) + "\n"
    (settings.directory / "soak.json").write_text(written, encoding="utf-8")
    table = "\n".join(lines_of(soaked))
    print(table)
    if plan.minutes >= LONG_MINUTES and plan.rate >= LARGE_RATE:
        document = with_table(DOCUMENT.read_text(encoding="utf-8"), table, begin=BEGIN, end=END)
        DOCUMENT.write_text(document, encoding="utf-8")
    return 0 if soaked.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
