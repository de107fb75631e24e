"""Where the figures of a run go: a file for programs, a table for people."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.line import Measured, rounded


def write_latest(path: Path, measured: Sequence[Measured], of_run: Mapping[str, Any]) -> None:
    """Write the lines as one JSON list, each with the facts of the run; the file is never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(as_json(measured, of_run), encoding="utf-8")
    fresh.replace(path)


def as_json(measured: Sequence[Measured], of_run: Mapping[str, Any]) -> str:
    """The lines as one JSON list."""
    return json.dumps([one.for_json() | dict(of_run) for one in measured], ensure_ascii=False, indent=1) + "\n"


def table(measured: Sequence[Measured]) -> str:
    """The lines for a terminal."""
    rows: list[tuple[str, ...]] = [("line", "value", "", "ceiling", "ratio", "spread", "goal", "remark")]
    rows += [_row(one) for one in measured]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join("  ".join(map(_justified, row, widths, range(len(row)))).rstrip() for row in rows)


def figure(value: float | None) -> str:
    """A figure as people read it: four digits, thousands apart."""
    if value is None:
        return ""
    shown = rounded(value)
    return f"{shown:,.0f}" if abs(value) >= 1000 else f"{shown:g}"


def spread(one: Measured) -> str:
    """The least and the greatest round."""
    values = one.rounds.values if one.rounds else ()
    return f"{figure(min(values))} to {figure(max(values))}" if len(values) > 1 else ""


def goal(one: Measured) -> str:
    """The goal, and whether it is met."""
    if one.line.goal is None:
        return ""
    verdict = {True: ", met", False: ", missed", None: ""}[one.is_met]
    return f"{one.line.goal}{verdict}"


def _row(one: Measured) -> tuple[str, ...]:
    if one.failed is not None:
        return (one.line.name, "FAILED", "", "", "", "", goal(one), one.failed.splitlines()[0])
    assert one.rounds is not None
    ratio = "" if one.ratio is None else f"{one.ratio:.3f}"
    figures = (figure(one.value), one.line.unit, figure(one.ceiling), ratio)
    return (one.line.name, *figures, spread(one), goal(one), one.rounds.remark)


def _justified(cell: str, width: int, at: int) -> str:
    return cell.rjust(width) if at in (1, 3, 4) else cell.ljust(width)
