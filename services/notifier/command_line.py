"""What the commands share: a database for one piece of work, and clear ends."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer

from services.notifier.settings import NotifierSettings
from services.notifier.sheets import FileRefused
from services.notifier.store.stores import Stores
from shared.clock import SHANGHAI
from shared.db.session import open_engine
from shared.errors import TemporaryFailure
from shared.logs import log_beside_answers
from shared.policy import Policies, PolicyInvalid, load_policies
from shared.settings import load_settings

Answer = TypeVar("Answer")
ListFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV (UTF-8) or .xlsx")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


class CommandSettings(NotifierSettings):
    """Settings of the commands that need no log."""

    kafka_bootstrap_servers: str = "not needed"


def with_stores(work: Callable[[Stores], Awaitable[Answer]]) -> Answer:
    """Run one piece of work on the database; ends the command with status 1 while the database is away."""

    async def do() -> Answer:
        async with open_engine(load_settings(CommandSettings), "shouwang-notifier command") as engine:
            return await work(Stores.on(engine))

    return finish(do)


def finish(work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Run work to its end; what may pass ends the command with status 1."""

    async def do() -> Answer:
        return await work()

    log_beside_answers()
    try:
        return asyncio.run(do())
    except TemporaryFailure as failure:
        stop(f"try again later: {failure}", 1)


def load_command_policies() -> Policies:
    """Return the policies that the settings name; faulty ones end the command with status 2, every fault told."""
    try:
        return load_policies(load_settings(CommandSettings).policies)
    except PolicyInvalid as error:
        faults = "\n".join(str(fault) for fault in error.faults)
        stop(f"the policy files cannot be used:\n{faults}", 2)


def read_list(reading: Callable[[], Answer], *, as_json: bool = False) -> Answer:
    """Read a file; one with faults ends the command with status 2, every fault told."""
    try:
        return reading()
    except FileRefused as refused:
        if as_json:
            faults = [asdict(fault) for fault in refused.faults]
            typer.echo(json.dumps({"imported": 0, "rows": [], "faults": faults}, ensure_ascii=False))
            raise typer.Exit(2) from None
        stop(f"{refused}\nnothing was imported", 2)


def stop(words: str, status: int) -> NoReturn:
    """End the command. status: 1 may work later, 2 something must be mended first."""
    typer.echo(words, err=True)
    raise typer.Exit(status)


def read_instant(text: str, *, is_end: bool = False) -> datetime:
    """Read a time that somebody typed, Asia/Shanghai unless it says otherwise; ends the command if it is none.

    A day alone is its beginning; as an end (is_end) it is its end.
    """
    try:
        if len(text) == len("2026-03-02"):
            day = date.fromisoformat(text) + timedelta(days=int(is_end))
            return datetime.combine(day, time(), SHANGHAI)
        instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        stop("give a time as 2026-03-02T08:00 (Beijing time) or a day as 2026-03-02", 2)
    return instant if instant.tzinfo else instant.replace(tzinfo=SHANGHAI)
