"""From runs to lines: medians over the rounds, each entrant beside ours of the same rounds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tests.bench.line import rounded
from tests.bench.peers.entrants import OURS, Entrant
from tests.bench.results import Record


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took.

    start_seconds: from the start of the process to its first event. seconds: from there until the last effect was
    safe. second_half: events and seconds from the first look that found half of them safe; None when no look fell
    there. Processor time is counted over `seconds`.
    """

    events: int
    start_seconds: float
    seconds: float
    second_half: tuple[int, float] | None
    cpu_seconds: float
    servers_cpu_seconds: float | None
    peak_memory_mb: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a run. of: None where this run has none."""

    name: str
    unit: str
    says: str
    of: Callable[[Run], float | None]
    less_is_better: bool = False


def _warm(run: Run) -> float | None:
    return run.second_half[0] / run.second_half[1] if run.second_half else None


def _servers_us(run: Run) -> float | None:
    return None if run.servers_cpu_seconds is None else 1e6 * run.servers_cpu_seconds / run.events


RATE = Figure(
    "events_per_second",
    "events/s",
    "from the first event to the last safe effect",
    lambda run: run.events / run.seconds,
)
WARM = Figure("warm_events_per_second", "events/s", "the second half of the events", _warm)
COLD = Figure(
    "cold_events_per_second",
    "events/s",
    "from the start of the process to the last safe effect",
    lambda run: run.events / (run.start_seconds + run.seconds),
)
CPU = Figure(
    "cpu_us_per_event",
    "us",
    "processor time of the entrant",
    lambda run: 1e6 * run.cpu_seconds / run.events,
    less_is_better=True,
)
SERVERS_CPU = Figure(
    "servers_cpu_us_per_event", "us", "processor time of broker and database", _servers_us, less_is_better=True
)
MEMORY = Figure("peak_memory_mb", "MB", "most of the entrant", lambda run: run.peak_memory_mb, less_is_better=True)
FIGURES = (RATE, WARM, COLD, CPU, SERVERS_CPU, MEMORY)


@dataclass(slots=True)
class Outcome:
    """What came of an entrant: a run for each round, or the reason why it has none."""

    entrant: Entrant
    runs: list[Run] = field(default_factory=list)
    failed: str | None = None

    def values(self, figure: Figure) -> list[float]:
        """A figure, round by round; empty unless each round has it and none failed."""
        found = [figure.of(run) for run in self.runs]
        values = [value for value in found if value is not None]
        return [] if self.failed or len(values) < len(found) else values

    def median(self, figure: Figure) -> float | None:
        """The median over the rounds."""
        values = self.values(figure)
        return median(values) if values else None


def ratio(figure: Figure, theirs: float | None, ours: float | None) -> float | None:
    """How ours compares: above 1 ours is better, also for costs, where the ratio is turned round."""
    if not theirs or not ours:
        return None
    return theirs / ours if figure.less_is_better else ours / theirs


def lines(outcomes: Sequence[Outcome], of_run: Mapping[str, Any]) -> list[Record]:
    """Every figure of every entrant, with the facts of the run.

    value: the entrant's. ceiling: ours in the same rounds; none on our own lines. ratio: see `ratio`.
    """
    ours = next((one for one in outcomes if one.entrant.name == OURS), None)
    return [line | {"run": dict(of_run)} for outcome in outcomes for line in _lines(outcome, ours)]


def _lines(outcome: Outcome, ours: Outcome | None) -> Iterator[dict[str, Any]]:
    for figure in FIGURES:
        values, value = outcome.values(figure), outcome.median(figure)
        beside = ours.median(figure) if ours is not None and ours is not outcome else None
        yield {
            "name": f"peers.{outcome.entrant.name}_{figure.name}",
            "value": rounded(value),
            "unit": figure.unit,
            "ceiling": rounded(beside),
            "ratio": rounded(ratio(figure, value, beside)),
            "min": rounded(min(values, default=None)),
            "max": rounded(max(values, default=None)),
            "rounds": len(values),
            "goal": None,
            "met": None,
            "remark": " ".join(part for part in (outcome.entrant.version, outcome.entrant.delivery) if part),
            "failed": outcome.failed,
            "says": figure.says,
            "marked": False,
        }
