"""A piece of work that gives one or more lines, and the choice of those that a run measures."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.bench.bench import Bench
from tests.bench.line import Line, Rounds

Measure = Callable[[Bench], Awaitable[Mapping[Line, Rounds | Exception]]]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One piece of work. measure: returns at least those of the lines that `bench.wants`.

    Where several lines share their rounds, one that failed alone is returned as its exception; else raise.
    """

    lines: Sequence[Line]
    measure: Measure


def chosen_names(measurements: Sequence[Measurement], patterns: Sequence[str], *, quick: bool) -> frozenset[str]:
    """Return the names of the lines that a run measures. Raises ValueError for a pattern that names none.

    patterns: names, `*` and `?` allowed. quick: only lines of the quick run.
    """
    lines = [line for measurement in measurements for line in measurement.lines]
    chosen: set[str] = set()
    for pattern in patterns:
        found = [line for line in lines if fnmatchcase(line.name, pattern)]
        if not found:
            names = ", ".join(line.name for line in lines)
            raise ValueError(f"no line is called {pattern}; there are: {names}")
        chosen |= {line.name for line in found if line.quick or not quick}
    if not chosen:
        raise ValueError("none of these lines is part of the quick run; use `make bench LINES=...`")
    return frozenset(chosen)
