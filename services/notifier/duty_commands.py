"""Commands for duty lists, absences and holidays."""

import json
from typing import Annotated

import typer

from services.notifier.command_line import AsJson, ListFile, read_instant, read_list, stop, with_stores
from services.notifier.core.duty import Absence
from services.notifier.core.routing import ancestors
from services.notifier.duty_imports import read_duties, read_holidays
from services.notifier.store.stores import Stores
from shared.clock import SHANGHAI, SystemClock, to_rfc3339

duty = typer.Typer(help="Who takes turns when, and the days off.", no_args_is_help=True)
absence = typer.Typer(help="Who is away, and who hears instead.", no_args_is_help=True)


@duty.command("import")
def import_duties(file: ListFile, as_json: AsJson = False) -> None:
    """Put in a duty list from a CSV or Excel file, all or none.

    Columns: staff_id, from_day, to_day, from_time, to_time, and if wanted weekdays (digits 1 to 7, such as 12345),
    override (yes: for its time this line takes the place of those that are none) and note. For each role and division
    in it, the lines that begin on or after its first day there are replaced, overrides and others each by their like.
    """
    people = with_stores(lambda stores: stores.rosters.posts())
    rows = read_list(lambda: read_duties(file, people), as_json=as_json)
    replaced = with_stores(lambda stores: stores.rosters.save_duties(rows))
    if as_json:
        typer.echo(json.dumps({"imported": len(rows), "replaced": replaced, "faults": []}))
    else:
        typer.echo(f"duty lines imported: {len(rows)}, replaced: {replaced}")


@duty.command("holidays")
def import_holidays(file: ListFile) -> None:
    """Add or change days off from a CSV or Excel file with the columns day, name, and if wanted workday (yes or no).

    On a day off the duty lines for Sundays count, on a workday that makes up for one the lines for Mondays.
    """
    days = read_list(lambda: read_holidays(file))
    with_stores(lambda stores: stores.rosters.save_holidays(days))
    typer.echo(f"holidays imported: {len(days)}")


@absence.command("add")
def add_absence(
    staff_id: str,
    begins: Annotated[str, typer.Option("--from", help="day or time, such as 2026-03-02T08:00, in Beijing time")],
    ends: Annotated[str, typer.Option("--to", help="day (to its end) or time")],
    stand_in: Annotated[str | None, typer.Option(help="staff_id of who hears instead")] = None,
) -> None:
    """Say that a person is away, and who hears instead."""
    away = Absence(staff_id, read_instant(begins), read_instant(ends, is_end=True), stand_in)
    if away.from_at >= away.to_at:
        stop("--to: give a time after --from", 2)

    async def store(stores: Stores) -> int:
        people = await stores.rosters.posts()
        person = people.get(staff_id)
        if person is None:
            stop("staff_id: no such person; import the staff list first", 2)
        if stand_in is not None:
            other = people.get(stand_in)
            if other is None or not other.active or stand_in == staff_id:
                stop("--stand-in: give the staff_id of another person in active service", 2)
            if other.division not in ancestors(person.division):
                stop(f"--stand-in: give somebody of division {person.division} or of one above it", 2)
        return await stores.rosters.add_absence(away)

    number = with_stores(store)
    typer.echo(f"absence {number} added" + ("" if stand_in else "; nobody stands in: as if the person were missing"))


@absence.command("list")
def list_absences(as_json: AsJson = False) -> None:
    """Print the absences that are not over."""
    found = with_stores(lambda stores: stores.rosters.absences(SystemClock().now()))
    if as_json:
        rows = [
            {
                "number": number,
                "staff_id": one.staff_id,
                "from": to_rfc3339(one.from_at),
                "to": to_rfc3339(one.to_at),
                "stand_in": one.stand_in,
            }
            for number, one in found.items()
        ]
        typer.echo(json.dumps(rows))
        return
    for number, one in found.items():
        begins, ends = (f"{instant.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" for instant in (one.from_at, one.to_at))
        typer.echo(f"{number}: {one.staff_id} from {begins} to {ends}, stand-in {one.stand_in or 'nobody'}")


@absence.command("remove")
def remove_absence(number: int) -> None:
    """Forget an absence, by its number in `absence list`."""
    if not with_stores(lambda stores: stores.rosters.remove_absence(number)):
        stop("no absence has this number; see `absence list`", 2)
    typer.echo(f"absence {number} removed")
