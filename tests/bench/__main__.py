"""Measure lines of the benchmark: `python -m tests.bench [--quick] [--lines core.*,scorer.*] [--scale 0.01] [--json]`.

Exit status: 0 if all were measured, 1 if one failed, 2 for a wrong command. How to add a line stands in __init__.py.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Any

import uvloop

from shared.logs import configure_logs
from tests.bench.document import DOCUMENT, write_document
from tests.bench.lines import MEASUREMENTS
from tests.bench.measurement import chosen_names
from tests.bench.results import as_json, table, write_latest
from tests.bench.run import Report, run
from tests.bench.settings import BenchSettings
from tests.bench.sizing import NotMeasured, write_sizing

STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure lines beside their ceilings.")
    parser.add_argument("--lines", default="*", help="names or patterns such as core.*,scorer.events_per_second")
    parser.add_argument("--quick", action="store_true", help="the short form: marked lines, one round, smaller sizes")
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes: 0.01 tries a line out")
    parser.add_argument("--json", action="store_true", help="print the lines as one JSON list")
    given = parser.parse_args(arguments)
    if not 0 < given.scale <= 10:
        parser.error("--scale must be above 0 and at most 10")
    patterns = tuple(part.strip() for part in given.lines.split(",") if part.strip()) or ("*",)
    settings = BenchSettings(patterns, given.quick, given.scale)
    try:
        names = chosen_names(MEASUREMENTS, patterns, quick=settings.quick)
    except ValueError as error:
        parser.error(str(error))
    logs_to_stderr()
    try:
        report = uvloop.run(run(settings, names, MEASUREMENTS, lambda report: _keep(settings, report)))
    except KeyboardInterrupt:
        sys.stderr.write("stopped by hand; what was measured so far is in latest.json\n")
        return STOPPED
    print(as_json(report.measured, _of_run(settings, report)) if given.json else table(report.measured))
    if settings.is_whole:
        write_document(DOCUMENT, report.measured, report.circumstances)
        _write_sizing(settings, report)
    return 1 if report.failed else 0


def logs_to_stderr() -> None:
    """Standard output is for the figures; of our own parts of the product only warnings are of interest."""
    configure_logs("bench", "WARNING")
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)
    # A topic that was made a moment ago has no leader yet; the library tries again, and says so each time.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def _keep(settings: BenchSettings, report: Report) -> None:
    write_latest(settings.directory / "latest.json", report.measured, _of_run(settings, report))


def _write_sizing(settings: BenchSettings, report: Report) -> None:
    try:
        write_sizing([one.for_json() | _of_run(settings, report) for one in report.measured])
    except NotMeasured as reason:
        sys.stderr.write(f"the sizing table of the README stays as it was: {reason}\n")


def _of_run(settings: BenchSettings, report: Report) -> dict[str, Any]:
    return {"quick": settings.quick, "scale": settings.scale} | report.circumstances


if __name__ == "__main__":
    sys.exit(main())
