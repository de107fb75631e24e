"""The figures of a run as a table in docs/performance.md, between markers of its own."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.bench.document import with_table
from tests.bench.peers.entrants import OURS
from tests.bench.peers.figures import COLD, CPU, MEMORY, RATE, SERVERS_CPU, WARM, Outcome, ratio
from tests.bench.results import figure

BEGIN = "<!-- peers: begin; written by `make bench-peers`, do not edit -->"
END = "<!-- peers: end -->"
HEAD = (
    "who",
    "events/s",
    "rounds",
    "ours / theirs",
    "second half",
    "with start",
    "own CPU, us an event",
    "servers' CPU, us an event",
    "peak MB",
    "after a kill",
)


def write_document(path: Path, outcomes: Sequence[Outcome], circumstances: Mapping[str, str]) -> None:
    """Put the figures of a run in the place of those before. Raises MarkersMissing."""
    table = "\n".join(lines_of(outcomes, circumstances))
    path.write_text(with_table(path.read_text(encoding="utf-8"), table, begin=BEGIN, end=END), encoding="utf-8")


def lines_of(outcomes: Sequence[Outcome], circumstances: Mapping[str, str]) -> Iterator[str]:
    """The circumstances and the table, line by line; the fastest first, who did not run last."""
    yield "; ".join(f"{name}: {value}" for name, value in circumstances.items()) + "."
    yield ""
    yield f"| {' | '.join(HEAD)} |"
    yield f"|{' --- |' * len(HEAD)}"
    ours = next((one for one in outcomes if one.entrant.name == OURS), None)
    for one in sorted(outcomes, key=lambda outcome: -(outcome.median(RATE) or 0.0)):
        yield f"| {' | '.join(_cells(one, ours))} |"


def _cells(one: Outcome, ours: Outcome | None) -> Iterator[str]:
    title = one.entrant.shown
    yield f"**{title}**" if one.entrant.name == OURS else title
    if one.failed is not None:
        yield f"not run: {' '.join(one.failed.split()).replace('|', '/')}"
        yield from [""] * (len(HEAD) - 2)
        return
    values = one.values(RATE)
    beside = ratio(RATE, one.median(RATE), ours.median(RATE)) if ours is not None and ours is not one else None
    yield figure(one.median(RATE))
    yield f"{figure(min(values))} to {figure(max(values))}" if len(values) > 1 else ""
    yield "" if beside is None else f"**{beside:.2f}**"
    for shown in (WARM, COLD, CPU, SERVERS_CPU, MEMORY):
        yield figure(one.median(shown))
    yield one.entrant.delivery
