"""The table in docs/performance.md: written anew between two markers, so that notes around it stay."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from deploy.local.places import REPOSITORY
from tests.bench.line import Measured
from tests.bench.results import figure, goal, spread

DOCUMENT = REPOSITORY / "docs" / "performance.md"
BEGIN = "<!-- measured: begin; written by `make bench`, do not edit -->"
END = "<!-- measured: end -->"


class MarkersMissing(ValueError):
    """The document has no place for the table."""


def write_document(path: Path, measured: Sequence[Measured], circumstances: Mapping[str, str]) -> None:
    """Put the figures of a run in the place of those before. Raises MarkersMissing."""
    fresh = with_table(path.read_text(encoding="utf-8"), "\n".join(lines_of(measured, circumstances)))
    path.write_text(fresh, encoding="utf-8")


def with_table(document: str, table: str, *, begin: str = BEGIN, end: str = END) -> str:
    """Return the document with this table between its markers. Raises MarkersMissing."""
    head, found_begin, rest = document.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found_begin or not found_end or begin in tail:
        raise MarkersMissing(f"the document must hold these two lines once, in this order:\n{begin}\n{end}")
    return f"{head}{begin}\n\n{table}\n\n{end}{tail}"


def lines_of(measured: Sequence[Measured], circumstances: Mapping[str, str]) -> Iterator[str]:
    """The circumstances and the table, line by line."""
    yield "; ".join(f"{name}: {value}" for name, value in circumstances.items()) + "."
    yield ""
    yield "| line | value | ceiling | ratio | rounds | goal | what it is |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for one in measured:
        yield f"| {' | '.join(_cells(one))} |"


def _cells(one: Measured) -> Iterator[str]:
    quick = " \\*" if one.line.quick else ""
    yield f"`{one.line.name}`{quick}"
    if one.failed is not None:
        yield from ("failed", "", "", "", goal(one), _cell(one.failed.splitlines()[0]))
        return
    assert one.rounds is not None
    yield f"{figure(one.value)} {one.line.unit}"
    yield figure(one.ceiling)
    yield "" if one.ratio is None else f"**{one.ratio:.2f}**"
    yield spread(one)
    yield goal(one)
    yield _cell("; ".join(part for part in (one.line.says, one.rounds.remark) if part))


def _cell(words: str) -> str:
    return words.replace("|", "/").replace("\n", " ")
