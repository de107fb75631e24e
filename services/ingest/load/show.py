"""Tells what a load has met: as a table with bars for people, as one JSON object for programs."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.ingest.load.tally import GOAL, Tally, percentiles_ms

BAR_WIDTH = 40
_EDGES_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it went. seconds: of sending. own_share: of one processor, that the sending itself took.

    latest_seconds: how late the sender itself was with a request, at worst.
    """

    rate: float
    seconds: float
    tally: Tally
    own_share: float
    latest_seconds: float

    @property
    def is_good(self) -> bool:
        """Whether enough was taken."""
        return self.tally.share_taken >= GOAL


def as_document(run: Run) -> dict[str, Any]:
    """The run as a JSON object."""
    tally = run.tally
    return {
        "rate_per_second": run.rate,
        "seconds": round(run.seconds, 3),
        "offered": tally.offered,
        "taken": tally.taken,
        "taken_per_second": round(tally.taken / run.seconds, 1),
        "share_taken": round(tally.share_taken, 5),
        "refused": tally.refused,
        "refused_on_purpose": tally.refused_on_purpose,
        "unanswered": tally.unanswered,
        "asked_to_wait": tally.held_back,
        "lost_connections": tally.lost_connections,
        "latency_ms": dict(percentiles_ms(tally.waits)),
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "problems": dict(tally.problems.most_common()),
        "sender_cpu_share": round(run.own_share, 3),
        "sender_late_ms": round(run.latest_seconds * 1000, 1),
        "passed": run.is_good,
    }


def as_text(run: Run) -> RenderableType:
    """The run for a terminal."""
    return Group(_bars(run.tally.waits), _figures(run), _verdict(run))


def _bars(waits: Sequence[float]) -> Table:
    table = Table(title="from the instant a request was to be sent to its answer", box=None, title_justify="left")
    for justify in ("right", "left", "right"):
        table.add_column(justify=justify)
    counts = list(buckets(waits))
    most = max((count for _, count in counts), default=0)
    for name, count in counts:
        table.add_row(name, "█" * _width(count, most), f"{count:,}")
    return table


def buckets(waits: Sequence[float]) -> Iterator[tuple[str, int]]:
    """Yield how many waits lie below each edge and above the one before, from the first that has any to the last."""
    counts = [0] * (len(_EDGES_MS) + 1)
    for seconds in waits:
        counts[bisect_right(_EDGES_MS, seconds * 1000)] += 1
    names = [*(f"< {edge:,} ms" for edge in _EDGES_MS), f">= {_EDGES_MS[-1]:,} ms"]
    filled = [place for place, count in enumerate(counts) if count]
    if filled:
        yield from list(zip(names, counts, strict=True))[filled[0] : filled[-1] + 1]


def _width(count: int, most: int) -> int:
    return max(1, round(count / most * BAR_WIDTH)) if count else 0


def _figures(run: Run) -> Table:
    tally = run.tally
    table = Table(box=None, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    shown = percentiles_ms(tally.waits)
    table.add_row("latency", "  ".join(f"{name} {value:,.1f} ms" for name, value in shown.items()) or "no answer")
    table.add_row("events", f"{tally.taken:,} taken of {tally.offered:,} ({tally.share_taken:.2%})")
    table.add_row("rate", f"{tally.taken / run.seconds:,.0f} a second taken, {run.rate:,.0f} a second sent")
    table.add_row("answers", "  ".join(f"{status}: {count:,}" for status, count in sorted(tally.statuses.items())))
    for name, count in (
        ("refused", tally.refused),
        ("refused on purpose", tally.refused_on_purpose),
        ("without an answer", tally.unanswered),
        ("asked to wait", tally.held_back),
        ("lost connections", tally.lost_connections),
    ):
        if count:
            table.add_row(name, f"{count:,}")
    if tally.problems:
        table.add_row("problems", "  ".join(f"{slug}: {count:,}" for slug, count in tally.problems.most_common()))
    own = f"{run.own_share:.0%} of one processor; at worst {run.latest_seconds * 1000:.0f} ms late by itself"
    table.add_row("this sender", own)
    return table


def _verdict(run: Run) -> Text:
    word, style = ("PASS", "bold green") if run.is_good else ("FAIL", "bold red")
    return Text.assemble((word, style), f": {run.tally.share_taken:.2%} taken, {GOAL:.0%} wanted")
