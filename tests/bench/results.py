"""Where the figures of a run go: a file for programs, a table for people."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.line import Measured, rounded

Record = Mapping[str, Any]
"""What came of one line, for programs: `Measured.for_json` and, as `run`, the facts of the run that measured it."""


def records(measured: Sequence[Measured], of_run: Mapping[str, Any]) -> list[Record]:
    """The lines for programs."""
    return [one.for_json() | {"run": dict(of_run)} for one in measured]


def as_json(lines: Sequence[Record]) -> str:
    """The lines as one JSON list."""
    return json.dumps(lines, ensure_ascii=False, indent=1) + "\n"


def write_records(path: Path, lines: Sequence[Record]) -> None:
    """Write the lines as one JSON list; the file is never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(as_json(lines), encoding="utf-8")
    fresh.replace(path)


def table(lines: Sequence[Record]) -> str:
    """The lines for a terminal."""
    rows: list[tuple[str, ...]] = [("line", "value", "", "ceiling", "ratio", "spread", "goal", "remark")]
    rows += [_row(one) for one in lines]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join("  ".join(map(_justified, row, widths, range(len(row)))).rstrip() for row in rows)


def figure(value: float | None) -> str:
    """A figure as people read it: four digits, thousands apart."""
    if value is None:
        return ""
    shown = rounded(value)
    return f"{shown:,.0f}" if abs(value) >= 1000 else f"{shown:g}"


def spread(line: Record) -> str:
    """The least and the greatest round."""
    return f"{figure(line['min'])} to {figure(line['max'])}" if line["rounds"] > 1 else ""


def goal(line: Record) -> str:
    """The goal, and whether it is met."""
    if line["goal"] is None:
        return ""
    verdict = {True: ", met", False: ", missed", None: ""}[line["met"]]
    return f"{line['goal']}{verdict}"


def _row(line: Record) -> tuple[str, ...]:
    if line["failed"] is not None:
        return (line["name"], "FAILED", "", "", "", "", goal(line), line["failed"].splitlines()[0])
    ratio = "" if line["ratio"] is None else f"{line['ratio']:.3f}"
    figures = (figure(line["value"]), line["unit"], figure(line["ceiling"]), ratio)
    return (line["name"], *figures, spread(line), goal(line), line["remark"])


def _justified(cell: str, width: int, at: int) -> str:
    return cell.rjust(width) if at in (1, 3, 4) else cell.ljust(width)
