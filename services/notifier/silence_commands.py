"""Commands for silences."""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError

from services.notifier.auth import Caller, caller_of
from services.notifier.command_line import AsJson, load_command_policies, read_instant, stop, with_stores
from services.notifier.keep_silent import KeepSilent
from services.notifier.store.stores import Stores
from shared.clock import SHANGHAI
from shared.errors import RefusedRequest
from shared.events.envelope import faults_of
from shared.silences import SilenceShown, SilenceWanted

Answer = TypeVar("Answer")
By = Annotated[str, typer.Option("--by", help="staff_id of who answers for it")]
MOST = 1_000

silence = typer.Typer(help="Times for which alerts are told to nobody.", no_args_is_help=True)


@silence.command("add")
def add_silence(
    until: Annotated[str, typer.Option(help="day (to its end) or time, such as 2026-03-02T18:00, in Beijing time")],
    by: By,
    reason: Annotated[str, typer.Option(help="why; it stands on the timeline of each alert that is silenced")],
    division: Annotated[str | None, typer.Option(help="12 digits; all below it are silenced too")] = None,
    household: Annotated[str | None, typer.Option(help="household_id, instead of a division")] = None,
    grade: Annotated[str | None, typer.Option(help="such as yellow,orange; default: all")] = None,
) -> None:
    """Keep alerts from everybody for a time. What is still under way at its end is told then.

    It keeps back what comes from now on; what waits already, for the morning or a person's turn, is told all the same.
    """
    said = {
        "division": division,
        "household_id": household,
        "until": read_instant(until, is_end=True),
        "reason": reason,
        **({"grades": tuple(one.strip() for one in grade.split(","))} if grade else {}),
    }
    try:
        wanted = SilenceWanted.model_validate(said)
    except ValidationError as error:
        stop("\n".join(f"{_option(fault.pointer)}{fault.detail}" for fault in faults_of(error)), 2)
    made = _act(by, lambda silent, caller: silent.add(caller, wanted))
    typer.echo(_words(made))


@silence.command("list")
def list_silences(as_json: AsJson = False) -> None:
    """Print the silences, those that are over too, the newest first."""

    async def read(stores: Stores) -> list[SilenceShown]:
        return await (await _keep_silent(stores)).newest(Caller("command", ""), MOST)

    found = with_stores(read)
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in found], ensure_ascii=False))
        return
    for one in found:
        typer.echo(_words(one))


@silence.command("end")
def end_silence(number: int, by: By) -> None:
    """End a silence early, by its number in `silence list`; what it kept from people is told within seconds."""
    typer.echo(_words(_act(by, lambda silent, caller: silent.end(caller, number))))


def _act(by: str, act: Callable[[KeepSilent, Caller], Awaitable[Answer]]) -> Answer:
    """Act as a person of the staff list, within their own divisions."""

    async def do(stores: Stores) -> Answer:
        person = await stores.directory.find(by)
        if person is None or not person.active:
            stop("--by: give the staff_id of a person in active service", 2)
        try:
            return await act(await _keep_silent(stores), caller_of(person))
        except RefusedRequest as refused:
            if refused.problem == "not-found":
                stop("no silence has this number in the divisions of --by; see `silence list`", 2)
            pointer = refused.faults[0].pointer if refused.faults else ""
            stop(f"{_option(pointer)}{refused.detail or refused.problem}", 2)

    return with_stores(do)


async def _keep_silent(stores: Stores) -> KeepSilent:
    """By the database's time: a silence must not begin when this machine's clock says so."""
    await stores.clock.ask()
    return KeepSilent(stores.silences, stores.rosters, stores.clock, load_command_policies())


def _option(pointer: str) -> str:
    """Name what to change as the command line calls it."""
    name = pointer.split("/")[1] if "/" in pointer else ""
    called = {"household_id": "household", "grades": "grade"}.get(name, name)
    return f"--{called}: " if called else ""


def _words(one: SilenceShown) -> str:
    what = f"household {one.household_id}" if one.household_id else f"division {one.division}"
    until = f"{one.until.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    state = "in force" if one.in_force else f"ended by {one.ended_by}" if one.ended_by else "over"
    return f"{one.id}: {what}, {', '.join(one.grades)}, until {until}, {state}; {one.owner}: {one.reason}"
