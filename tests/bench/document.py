"""The table in docs/performance.md: written anew between two markers, so that notes around it stay."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.local.places import REPOSITORY
from tests.bench.published import machine_of
from tests.bench.results import Record, figure, goal, spread

DOCUMENT = REPOSITORY / "docs" / "performance.md"
BEGIN = "<!-- measured: begin; written by `make bench`, do not edit -->"
END = "<!-- measured: end -->"


class MarkersMissing(ValueError):
    """The document has no place for the table."""


def write_document(path: Path, lines: Sequence[Record]) -> None:
    """Put these lines in the place of those before. Raises MarkersMissing."""
    fresh = with_table(path.read_text(encoding="utf-8"), "\n".join(rows_of(lines)))
    path.write_text(fresh, encoding="utf-8")


def with_table(document: str, table: str, *, begin: str = BEGIN, end: str = END) -> str:
    """Return the document with this table between its markers. Raises MarkersMissing."""
    head, found_begin, rest = document.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found_begin or not found_end or begin in tail:
        raise MarkersMissing(f"the document must hold these two lines once, in this order:\n{begin}\n{end}")
    return f"{head}{begin}\n\n{table}\n\n{end}{tail}"


def rows_of(lines: Sequence[Record]) -> Iterator[str]:
    """The machine and the table, row by row."""
    yield "; ".join(f"{name}: {value}" for name, value in machine_of(lines).items()) + "."
    yield ""
    yield "| line | value | ceiling | ratio | rounds | goal | what it is | measured |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for one in lines:
        yield f"| {' | '.join(_cells(one))} |"


def _cells(line: Record) -> Iterator[str]:
    mark = " \\*" if line["marked"] else ""
    yield f"`{line['name']}`{mark}"
    when = f"{line['run']['date']}, {line['run']['commit']}"
    if line["failed"] is not None:
        yield from ("failed", "", "", "", goal(line), _cell(line["failed"].splitlines()[0]), when)
        return
    yield f"{figure(line['value'])} {line['unit']}"
    yield figure(line["ceiling"])
    yield "" if line["ratio"] is None else f"**{line['ratio']:.2f}**"
    yield spread(line)
    yield goal(line)
    yield _cell("; ".join(part for part in (line["says"], line["remark"]) if part))
    yield when


def _cell(words: str) -> str:
    return words.replace("|", "/").replace("\n", " ")
