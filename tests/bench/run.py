"""Measures the chosen lines one after the other; a line that fails is told of and the others go on."""

import traceback
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tests.bench.bench import Bench
from tests.bench.line import Line, Measured, Rounds
from tests.bench.machine import circumstances
from tests.bench.measurement import Measurement
from tests.bench.progress import Progress
from tests.bench.settings import BenchSettings


@dataclass(slots=True)
class Report:
    """What came of a run so far. circumstances: of the servers too, once they run."""

    measured: list[Measured] = field(default_factory=list)
    circumstances: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> list[Measured]:
        """The lines that could not be measured."""
        return [one for one in self.measured if one.failed is not None]


async def run(
    settings: BenchSettings,
    names: frozenset[str],
    measurements: Sequence[Measurement],
    keep: Callable[[Report], None],
) -> Report:
    """Measure the lines of these names. keep: called after each measurement, so that a stopped run leaves something."""
    report, progress = Report(), Progress()
    async with AsyncExitStack() as stack:
        stack.callback(progress.end)
        bench = Bench(settings, names, progress, stack)
        for one in measurements:
            wanted = [line for line in one.lines if line.name in names]
            if wanted:
                report.measured += await _measured(one, wanted, bench)
                report.circumstances = await circumstances(bench.opened)
                keep(report)
    return report


async def _measured(measurement: Measurement, wanted: Sequence[Line], bench: Bench) -> list[Measured]:
    bench.progress.begin(wanted[0].name)
    try:
        found = await measurement.measure(bench)
    except Exception as error:
        # Whatever it is, it is this line's: a server that did not start, a fault in the line or in the product.
        found = dict.fromkeys(wanted, error)
    bench.progress.end()
    for failure in {id(one): one for one in found.values() if isinstance(one, Exception)}.values():
        traceback.print_exception(failure)
    return [_one(line, found.get(line)) for line in wanted]


def _one(line: Line, found: Rounds | Exception | None) -> Measured:
    match found:
        case Rounds():
            return Measured(line, found)
        case None:
            return Measured(line, failed="its measurement did not return it")
        case failure:
            return Measured(line, failed=f"{type(failure).__name__}: {failure}")
