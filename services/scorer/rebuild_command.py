"""`shouwang-scorer rebuild`: asks the owners of the partitions to fold households anew from their ledgers."""

from dataclasses import dataclass
from typing import Annotated

import typer

from services.scorer.operator_command import NOT_DONE, WRONG_CALL, By, Operating, operate, progress, stop
from services.scorer.store.refolds import Selection

AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class FiledRequests:
    """How many households were chosen, and for how many of them nobody had asked before."""

    households: int
    filed: int

    @property
    def in_words(self) -> str:
        """One line for a person."""
        line = f"asked for: {self.filed} household(s) will be folded anew once their partition is read to its end"
        before = self.households - self.filed
        return line + (f" (of {before} more that was asked before)" if before else "")


def rebuild(
    by: By,
    household: Annotated[str | None, typer.Option(help="One household.", metavar="ID")] = None,
    division: Annotated[
        str | None, typer.Option(help="Those whose division's code begins so, such as 990100.", metavar="PREFIX")
    ] = None,
    all_households: Annotated[bool, typer.Option("--all", help="Every household.")] = False,
) -> None:
    """Ask for stored households to be folded anew from their ledgers, as this release and its policies judge.

    A new release, or a changed policy file, by itself only applies to what comes after it: run this to apply it to what
    is stored. The running scorers do the work, some households at a time, while no events wait. A household whose held
    grade comes out different is told of like any other change; one whose history cannot be folded stays as it is.
    """
    if [household is not None, division is not None, all_households].count(True) != 1:
        stop("name one of --household, --division, --all", WRONG_CALL)
    if division is not None and not (division.isascii() and division.isdigit() and len(division) <= 12):
        stop("--division takes 1 to 12 digits", WRONG_CALL)
    filed = file_requests(Selection(household, division or ""), reason="rebuild", by=by)
    if not filed.households:
        stop("there is no such household", NOT_DONE)
    typer.echo(filed.in_words)


def file_requests(selection: Selection, *, reason: str, by: str) -> FiledRequests:
    """File a request for each of the households, some thousands in one statement, with a bar on a terminal."""

    async def file_all(at: Operating) -> FiledRequests:
        total = await at.refolds.begin(selection, reason=reason, by=by)
        done, last = FiledRequests(0, 0), ""
        with progress("asking", total) as advance:
            while True:
                part = await at.refolds.file(selection, last, AT_ONCE, reason=reason, by=by)
                if part.last is None:
                    return done
                last = part.last
                done = FiledRequests(done.households + part.chosen, done.filed + part.filed)
                advance(part.chosen)

    return operate(file_all)
