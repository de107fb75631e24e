"""`shouwang-scorer verify`: proves that what is stored follows from the ledger, and that the books balance."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from services.scorer.operator_command import WRONG_CALL, Operating, operate, progress, stop
from services.scorer.verify import MEANINGS, Difference, refold
from services.scorer.wiring import CONSUMER_GROUP
from shared.db.books import Book

AT_ONCE = 200
DIFFERENT = 1
DEFAULT_SAMPLE = 1_000


@dataclass(slots=True)
class _Report:
    checked: int = 0
    differences: list[Difference] = field(default_factory=list)
    partitions: int = 0
    unbalanced: list[Book] = field(default_factory=list)


def verify(
    sample: Annotated[
        int | None, typer.Option(min=1, help=f"So many households, taken at random; without it {DEFAULT_SAMPLE:,}.")
    ] = None,
    all_households: Annotated[bool, typer.Option("--all", help="Every household.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fold stored households anew and compare, look for gaps in the ledger, and add up each partition's books.

    Only reads; may run beside the service. Exit status 1: something differs. What differs after a new release or a
    changed policy file is not wrong but old: `rebuild` renews it.
    """
    if all_households and sample is not None:
        stop("give --sample or --all, not both", WRONG_CALL)
    most = None if all_households else sample or DEFAULT_SAMPLE

    async def check(at: Operating) -> _Report:
        report = _Report()
        async with at.snapshot() as tables:
            books = await tables.books(CONSUMER_GROUP, at.topic)
        report.partitions = len(books)
        report.unbalanced = [book for _, book in sorted(books.items()) if book.unexplained]
        policies = at.policies()
        with progress("households", most) as advance:
            async for household_ids in _chosen(at, most):
                report.differences += await refold(at.households, household_ids, policies)
                report.checked += len(household_ids)
                advance(len(household_ids))
        return report

    report = operate(check)
    _print_json(report) if as_json else _print_words(report)
    if report.differences or report.unbalanced:
        raise typer.Exit(DIFFERENT)


async def _chosen(at: Operating, most: int | None) -> AsyncIterator[list[str]]:
    """Ids of households, some at a time: all in their order, or a sample."""
    if most is not None:
        async with at.households.snapshot() as reader:
            sample = await reader.some_households(most)
        for start in range(0, len(sample), AT_ONCE):
            yield sample[start : start + AT_ONCE]
        return
    last = ""
    while True:
        async with at.snapshot() as tables:
            found = await tables.households_after(last, AT_ONCE)
        if not found:
            return
        yield found
        last = found[-1]


def _print_words(report: _Report) -> None:
    for one in report.differences:
        typer.echo(f"{one.household_id}: {MEANINGS[one.kind]}")
    for book in report.unbalanced:
        typer.echo(f"partition {book.partition}: {book.unexplained} record(s) without a fate ({_book(book)})")
    typer.echo(
        f"households: {report.checked} folded anew, {len(report.differences)} differ;"
        f" partitions: {report.partitions} added up, {len(report.unbalanced)} do not balance"
    )


def _print_json(report: _Report) -> None:
    typer.echo(
        json.dumps(
            {
                "households": report.checked,
                "differences": [{"household_id": one.household_id, "kind": one.kind} for one in report.differences],
                "by_kind": Counter(one.kind for one in report.differences),
                "partitions": report.partitions,
                "unbalanced": [_book(book) for book in report.unbalanced],
            }
        )
    )


def _book(book: Book) -> dict[str, Any]:
    return {
        "partition": book.partition,
        "first_offset": book.first_offset,
        "next_offset": book.next_offset,
        "applied": book.applied,
        "repeated": book.repeated,
        "quarantined": book.quarantined,
    }
