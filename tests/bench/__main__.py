"""Measure lines of the benchmark: `python -m tests.bench [--quick] [--lines core.*,scorer.*] [--scale 0.01] [--json]`.

Exit status: 0 if all were measured, 1 if one failed, 2 for a wrong command. How to add a line stands in __init__.py.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress

import uvloop

from shared.logs import configure_logs
from tests.bench.document import DOCUMENT, write_document
from tests.bench.lines import MEASUREMENTS
from tests.bench.measurement import chosen_names
from tests.bench.published import PUBLISHED, merged, read_published
from tests.bench.results import Record, as_json, records, table, write_records
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
    settings = BenchSettings(given.quick, given.scale)
    try:
        names = chosen_names(MEASUREMENTS, patterns, quick=settings.quick)
    except ValueError as error:
        parser.error(str(error))
    logs_to_stderr()
    try:
        report = uvloop.run(run(settings, names, MEASUREMENTS, lambda report: _keep(settings, report)))
    except KeyboardInterrupt:
        sys.stderr.write("stopped by hand; what was measured so far is kept\n")
        return STOPPED
    lines = _records(settings, report)
    print(as_json(lines) if given.json else table(lines))
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
    lines = _records(settings, report)
    write_records(settings.directory / "latest.json", lines)
    if settings.is_full_size:
        _publish(lines)


def _publish(lines: Sequence[Record]) -> None:
    """Bring the pages up to date: after each measurement, so that a run that is stopped has not been for nothing."""
    order = [line.name for measurement in MEASUREMENTS for line in measurement.lines]
    published = merged(read_published(), lines, order)
    write_records(PUBLISHED, published)
    write_document(DOCUMENT, published)
    with suppress(NotMeasured):  # its table stays as it was until all that it needs is there
        write_sizing(published)


def _records(settings: BenchSettings, report: Report) -> list[Record]:
    return records(report.measured, {"quick": settings.quick, "scale": settings.scale} | report.circumstances)


if __name__ == "__main__":
    sys.exit(main())
