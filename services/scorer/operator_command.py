"""What the commands for operators have in common: what they work on, who a deed is noted under, how they end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.scorer.settings import CommandSettings
from services.scorer.store import ScorerStore
from services.scorer.store.quarantine import Quarantine
from services.scorer.store.refolds import RefoldRequests
from services.scorer.wiring import CONSUMER_GROUP
from shared.db.books import Snapshot, snapshot
from shared.db.migrate import check_schema, newest_revision
from shared.db.positions import Positions
from shared.db.session import open_engine
from shared.errors import TemporaryFailure
from shared.policy import Policies, PolicyInvalid, load_policies
from shared.settings import load_settings
from shared.topics import HOUSEHOLD_EVENTS

NOT_DONE = 1
WRONG_CALL = 2
LONGEST_NAME = 60
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Operating:
    """What a command works on. topic: of the events, as this installation calls it."""

    topic: str
    households: ScorerStore
    quarantine: Quarantine
    refolds: RefoldRequests
    snapshot: Callable[[], AbstractAsyncContextManager[Snapshot]]
    policies: Callable[[], Policies]


def operate(step: Callable[[Operating], Awaitable[Answer]]) -> Answer:
    """Do one step on the database that the environment names; end the program where it does not answer."""
    settings = load_settings(CommandSettings)

    async def run() -> Answer:
        async with open_engine(settings, "shouwang-scorer command") as engine:
            await check_schema(engine, newest_revision())
            positions = Positions(engine, CONSUMER_GROUP, "command")
            return await step(
                Operating(
                    HOUSEHOLD_EVENTS.prefixed(settings.kafka_topic_prefix).name,
                    ScorerStore(engine, positions),
                    Quarantine(engine, positions),
                    RefoldRequests(engine),
                    lambda: snapshot(engine),
                    lambda: load_policies(settings.policies),
                )
            )

    try:
        return asyncio.run(run())
    except PolicyInvalid as error:
        stop(str(error), WRONG_CALL)
    except TemporaryFailure as failure:
        stop(f"try again later: {failure}", NOT_DONE)


def stop(words: str, status: int) -> NoReturn:
    """End the program with a line on stderr."""
    typer.echo(words, err=True)
    raise typer.Exit(status)


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Give a function that is told how many more are done; shown on a terminal only. total: None while unknown."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda more: bar.advance(task, more)


def _name(given: str | None) -> str | None:
    if given is not None and (not given.strip() or len(given) > LONGEST_NAME or not given.isprintable()):
        raise typer.BadParameter(f"give a name of 1 to {LONGEST_NAME} printable characters")
    return given


By = Annotated[str, typer.Option("--by", callback=_name, help="Who does this; it goes to the audit log.")]
OptionalBy = Annotated[str | None, typer.Option("--by", callback=_name, help="Who does this; needed for a deed.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
