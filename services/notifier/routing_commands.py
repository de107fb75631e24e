"""Commands that answer questions about routing: who would hear, who heard and why, and where nobody would."""

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import typer

from services.notifier.command_line import AsJson, load_command_policies, read_instant, stop, with_stores
from services.notifier.core.holding import Tellings
from services.notifier.core.routing import ancestors
from services.notifier.gaps import Gap, Reach, find_gaps, villages_of
from services.notifier.route import Peace, describe, longest_climb, rehearse
from services.notifier.store.rows import Register
from services.notifier.store.stores import Stores
from services.notifier.why import AlertWhy, explain
from shared.clock import SHANGHAI, SystemClock, day_of, to_rfc3339
from shared.grades import GradeCode, RiskGrade
from shared.policy import Role

GAPS_SPAN = timedelta(days=7)
_DIVISION = re.compile("[0-9]{12}")


def add_routing_commands(cli: typer.Typer, staff: typer.Typer) -> None:
    """Mount `route`, `why` and `staff gaps`."""
    cli.command("route")(show_route)
    cli.command("why")(show_why)
    staff.command("gaps")(show_gaps)


def show_route(
    household: Annotated[str | None, typer.Option(help="household_id, to route from where it lives")] = None,
    division: Annotated[str | None, typer.Option(help="12 digits, instead of a household")] = None,
    grade: Annotated[GradeCode, typer.Option()] = "red",
    at: Annotated[str | None, typer.Option(help="time such as 2026-03-02T08:00, in Beijing time; default: now")] = None,
    as_json: AsJson = False,
) -> None:
    """Print who would hear of an alert when, by which channel, why not the others, and to whom it would climb when.

    Silences and quiet hours are heeded, and of a household also how much people have heard of it lately.
    Ends with status 1 if nobody would hear.
    """
    if (household is None) == (division is None):
        stop("give either --household or --division", 2)
    if division is not None and not _DIVISION.fullmatch(division):
        stop("--division: give 12 digits, such as 990100101201", 2)
    policies, wanted = load_command_policies(), RiskGrade.from_code(grade)
    opened_at = SystemClock().now() if at is None else read_instant(at)

    async def read(stores: Stores) -> tuple[str, Register, Peace]:
        place = division or await stores.rosters.division_of(household or "")
        if place is None:
            stop("--household: neither the books nor an alert knows this household; give --division", 2)
        tellings = await stores.why.lately(household, opened_at) if household else Tellings()
        peace = Peace(await stores.silences.in_force(opened_at), tellings)
        policy = policies.for_division(place).on(day_of(opened_at))
        ends = max([opened_at, *(one.until_at for one in peace.silences)]) + longest_climb(policy, wanted)
        return place, await stores.rosters.register(opened_at, ends, ancestors(place)), peace

    place, register, peace = with_stores(read)
    policy = policies.for_division(place).on(day_of(opened_at))
    rehearsal = rehearse(register, policy, place, wanted, opened_at, household_id=household or "", peace=peace)
    if as_json:
        typer.echo(rehearsal.model_dump_json())
    else:
        for line in describe(rehearsal):
            typer.echo(line)
    if not rehearsal.is_heard:
        raise typer.Exit(1)


def show_why(
    alert_id: str,
    person: Annotated[str | None, typer.Option(help="staff_id: the answer for this person alone")] = None,
    as_json: AsJson = False,
) -> None:
    """Print who was told of an alert and who was not, each with the reason, and each attempt."""

    async def read(stores: Stores) -> AlertWhy:
        found = await stores.why.why("", alert_id)
        if found is None:
            stop("alert_id: no such alert", 2)
        if person is None:
            return found
        bystander = await stores.why.bystander(person)
        if bystander is None:
            stop("--person: no such person; see the staff list", 2)
        return found.about(bystander)

    found = with_stores(read)
    if as_json:
        typer.echo(found.model_dump_json())
        return
    for line in explain(found):
        typer.echo(line)


def show_gaps(
    begins: Annotated[str | None, typer.Option("--from", help="day or time; default: now")] = None,
    ends: Annotated[str | None, typer.Option("--to", help="day (to its end) or time; default: 7 days later")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the hours and villages in which a red alert would reach nobody, or nobody but duty officers.

    Ends with status 1 if there are any with nobody.
    """
    start = SystemClock().now() if begins is None else read_instant(begins)
    end = start + GAPS_SPAN if ends is None else read_instant(ends, is_end=True)
    if start >= end:
        stop("--to: give a time after --from", 2)
    policies = load_command_policies()

    def roles(division: str, at: datetime) -> Sequence[Role]:
        return policies.for_division(division).on(day_of(at)).routing["red"]

    register = with_stores(lambda stores: stores.rosters.register(start, end))
    villages = villages_of(register.names)
    if not villages:
        stop("no village is known; import divisions first", 2)
    gaps = list(find_gaps(register, villages, start, end, roles))
    if as_json:
        typer.echo(json.dumps([_gap_values(gap) for gap in gaps]))
    else:
        _print_gaps(gaps, register, len(villages))
    if any(gap.reach is Reach.NOBODY for gap in gaps):
        raise typer.Exit(1)


def _print_gaps(gaps: Sequence[Gap], register: Register, villages: int) -> None:
    for gap in gaps:
        begins, ends = (f"{instant.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" for instant in (gap.from_at, gap.to_at))
        name = register.names[gap.division]
        typer.echo(f"{gap.division} {name}: {begins} to {ends} ({gap.hours:.1f} h): {gap.reach}")
    for reach in Reach:
        found = [gap for gap in gaps if gap.reach is reach]
        hours = sum(gap.hours for gap in found)
        typer.echo(f"{reach}: {hours:.1f} h in {len({gap.division for gap in found})} of {villages} villages")


def _gap_values(gap: Gap) -> dict[str, str | float]:
    return {
        "division": gap.division,
        "from": to_rfc3339(gap.from_at),
        "to": to_rfc3339(gap.to_at),
        "hours": gap.hours,
        "reach": gap.reach,
    }
