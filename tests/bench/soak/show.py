"""What a long run has shown: for a terminal, for the document, and for programs."""

from collections.abc import Iterator
from typing import Any

from tests.bench.line import rounded
from tests.bench.results import figure
from tests.bench.soak.run import Soaked
from tests.bench.soak.trend import Series

BEGIN = "<!-- soak: begin; written by `make bench-soak`, do not edit -->"
END = "<!-- soak: end -->"


def as_document(soaked: Soaked) -> dict[str, Any]:
    """The run as one JSON object."""
    plan, tally = soaked.plan, soaked.tally
    return {
        "minutes": plan.minutes,
        "rate_per_second": plan.rate,
        "households": plan.households,
        "offered": tally.offered,
        "taken": tally.taken,
        "grade_ms": dict(soaked.grade_waits_ms()),
        "settled_seconds": rounded(soaked.settled_seconds),
        "sender_share": rounded(soaked.sender_share),
        "passed": soaked.is_good,
        "series": [_series(one) for one in soaked.series],
        **soaked.circumstances,
    }


def lines_of(soaked: Soaked) -> Iterator[str]:
    """The run as lines of Markdown."""
    plan, tally, waits = soaked.plan, soaked.tally, soaked.grade_waits_ms()
    yield "; ".join(f"{name}: {value}" for name, value in soaked.circumstances.items()) + "."
    yield ""
    yield (
        f"{plan.minutes:g} minutes at {plan.rate:,.0f} events a second about {plan.households:,} households:"
        f" {tally.taken:,} of {tally.offered:,} events were taken. From the instant at which each was to be sent to its"
        f" durable grade: {', '.join(f'{name} {value:,.0f} ms' for name, value in waits.items())}. {_settled(soaked)}"
        f" The sender used {soaked.sender_share:.0%} of one processor."
    )
    yield ""
    yield "| what | after a quarter | at the end | most | grows in an hour |"
    yield "| --- | --- | --- | --- | --- |"
    for one in soaked.series:
        unit = f" {one.unit}".rstrip()
        yield f"| {one.name} | {_shown(one.first)}{unit} | {_shown(one.last)}{unit} | {_shown(one.most)}{unit} |" + (
            f" {one.slope_per_hour:+,.1f}{unit} |"
        )


def _settled(soaked: Soaked) -> str:
    if soaked.settled_seconds is None:
        return f"{soaked.tally.ungraded:,} events had no grade two minutes after the last was sent."
    return f"The last grade came {soaked.settled_seconds:.1f} s after the last event."


def _series(one: Series) -> dict[str, Any]:
    return {
        "name": one.name,
        "unit": one.unit,
        "after_a_quarter": rounded(one.first),
        "at_the_end": rounded(one.last),
        "most": rounded(one.most),
        "slope_per_hour": rounded(one.slope_per_hour),
        "points": [[round(at, 1), rounded(value)] for at, value in one.points],
    }


def _shown(value: float) -> str:
    return figure(value) or "0"
