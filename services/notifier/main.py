"""Commands of shouwang-notifier."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from prometheus_client import CollectorRegistry

from services.notifier.console.auth import LONGEST_PASSWORD, SHORTEST_PASSWORD, Passwords
from services.notifier.imports import FileRefused, read_divisions, read_staff
from services.notifier.settings import NotifierSettings
from services.notifier.store.deliveries import Deliveries
from services.notifier.store.directory import Directory
from services.notifier.store.reading import AlertReader
from services.notifier.try_channels import try_channels
from services.notifier.why import explain
from services.notifier.wiring import notifier, open_channels
from shared.clock import SystemClock
from shared.commands import add_common_commands
from shared.db.session import open_engine
from shared.errors import TemporaryFailure
from shared.lifecycle import http_server, run, run_service
from shared.logs import configure_logs, get_logger
from shared.metrics import ServiceMetrics
from shared.policy import PolicyInvalid
from shared.settings import load_settings

Answer = TypeVar("Answer")
CsvFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]

cli = typer.Typer(
    help="Raise alerts, tell the staff who must act, serve the console.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
divisions = typer.Typer(help="The register of divisions.", no_args_is_help=True)
staff = typer.Typer(help="The people who are told, and who log in.", no_args_is_help=True)
channel = typer.Typer(help="The ways to tell people.", no_args_is_help=True)
cli.add_typer(divisions, name="divisions")
cli.add_typer(staff, name="staff")
cli.add_typer(channel, name="channel")
add_common_commands(cli)
log = get_logger(__name__)


class CommandSettings(NotifierSettings):
    """Settings of the commands that need no log."""

    kafka_bootstrap_servers: str = "not needed"


@cli.command("serve")
def serve() -> None:
    """Raise and deliver alerts and serve the console, until SIGTERM or SIGINT."""
    settings = load_settings(NotifierSettings)
    configure_logs("notifier", settings.log_level)
    if not settings.is_https and settings.environment == "production":
        log.warning("SHOUWANG_NOTIFIER_PUBLIC_URL is not https: passwords and links travel in clear")
    run(_serve(settings))


@divisions.command("import")
def import_divisions(file: CsvFile) -> None:
    """Add or rename divisions from a CSV file with the columns code, name."""
    names = _read(lambda: read_divisions(file))
    _with_directory(lambda directory: directory.save_divisions(names))
    typer.echo(f"divisions imported: {len(names)}")


@staff.command("import")
def import_staff(file: CsvFile) -> None:
    """Add or change people from a CSV file.

    Columns: staff_id, name, role, division; at least one of email, webhook_url (with webhook_secret), wecom_user,
    wecom_robot_url, dingtalk_robot_url (with dingtalk_secret), feishu_robot_url (with feishu_secret), phone; if wanted
    channel_order (such as "aliyun_sms dingtalk") and active (yes or no).
    """
    allow_plain = load_settings(CommandSettings).webhook_allow_private
    known = _with_directory(lambda directory: directory.known_divisions())
    people = _read(lambda: read_staff(file, known, allow_plain=allow_plain))
    _with_directory(lambda directory: directory.save_staff(people))
    typer.echo(f"staff imported: {len(people)}")


@staff.command("set-password")
def set_password(
    staff_id: str,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="read it from the first line typed")] = False,
) -> None:
    """Set a person's console password and end their sessions."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        _stop(f"password: give {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters", 2)

    async def store(directory: Directory) -> bool:
        return await directory.set_password(staff_id, await Passwords().hash(password))

    if not _with_directory(store):
        _stop("staff_id: no such person; import the staff list first", 2)
    typer.echo("password set")


@channel.command("test")
def test_channels(staff_id: str) -> None:
    """Send a test message to a person by each of their channels and print what became of it."""
    settings = load_settings(CommandSettings)

    async def send(directory: Directory) -> list[tuple[bool, str]] | None:
        async with AsyncExitStack() as stack:
            channels = await open_channels(stack, settings, SystemClock())
            return await try_channels(directory, channels, staff_id, settings.public_url)

    outcomes = _with_directory(send)
    if outcomes is None:
        _stop("staff_id: no such person; import the staff list first", 2)
    for _, words in outcomes:
        typer.echo(words)
    if not outcomes or not all(sent for sent, _ in outcomes):
        raise typer.Exit(1)


@cli.command("why")
def why(alert_id: str) -> None:
    """Print who was told of an alert, by which way, and each attempt."""

    async def ask() -> list[str] | None:
        async with open_engine(load_settings(CommandSettings), "shouwang-notifier command") as engine:
            return await explain(AlertReader(engine), Deliveries(engine), alert_id)

    lines = _run(ask)
    if lines is None:
        _stop("alert_id: no such alert", 2)
    for line in lines:
        typer.echo(line)


def _read(reading: Callable[[], Answer]) -> Answer:
    try:
        return reading()
    except FileRefused as refused:
        _stop(f"{refused}\nnothing was imported", 2)


def _with_directory(work: Callable[[Directory], Awaitable[Answer]]) -> Answer:
    async def do() -> Answer:
        async with open_engine(load_settings(CommandSettings), "shouwang-notifier command") as engine:
            return await work(Directory(engine))

    return _run(do)


def _run(work: Callable[[], Awaitable[Answer]]) -> Answer:
    async def do() -> Answer:
        return await work()

    try:
        return asyncio.run(do())
    except TemporaryFailure as failure:
        _stop(f"try again later: {failure}", 1)


def _stop(words: str, status: int) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(status)


async def _serve(settings: NotifierSettings) -> None:
    try:
        registry = CollectorRegistry()
        async with notifier(settings, registry) as parts:
            metrics = ServiceMetrics("notifier", registry)
            server = http_server(parts.app, settings.host, settings.port, settings.http_limits(), metrics)
            await run_service(server, parts.tasks)
    except TemporaryFailure as failure:
        log.error("the notifier cannot go on", reason=str(failure))
        raise SystemExit(1) from None
    except PolicyInvalid as error:
        log.error("the policy files cannot be used", faults=[str(fault) for fault in error.faults])
        raise SystemExit(2) from None


if __name__ == "__main__":
    cli()
