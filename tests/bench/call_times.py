"""Times single calls of plain functions, ours and the ceiling in turn, on warm code."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from tests.bench.bench import Bench
from tests.bench.line import Rounds

ROUNDS, TIMES_A_ROUND, WARM_UP = 7, 400, 100
Prepare = Callable[[int], Any]
Work = Callable[[Any], object]


def call_times(
    bench: Bench, prepare: Prepare, ours: Work, ceiling: Work, *, times: int = TIMES_A_ROUND, per_second: float = 1e6
) -> Rounds:
    """Median time of one call of each, round by round; what `prepare` does for a call is not counted.

    times: calls a round. per_second: 1e6 for microseconds, 1e3 for milliseconds.
    """
    times = bench.scaled(times, least=4)
    for work in (ours, ceiling):
        _round(prepare, work, min(WARM_UP, times))
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(1 if bench.settings.quick else ROUNDS):
        for work, figures in zip((ours, ceiling), taken, strict=True):
            figures.append(_round(prepare, work, times) * per_second)
    return Rounds(*taken)


def _round(prepare: Prepare, work: Work, times: int) -> float:
    taken = []
    for turn in range(times):
        one = prepare(turn)
        started = time.perf_counter_ns()
        work(one)
        taken.append(time.perf_counter_ns() - started)
    return median(taken) / 1e9
