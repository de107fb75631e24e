"""Commands of shouwang-notifier."""

import json
import sys
from contextlib import AsyncExitStack
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from services.notifier.command_line import AsJson, CommandSettings, ListFile, read_list, stop, with_stores
from services.notifier.console.auth import LONGEST_PASSWORD, SHORTEST_PASSWORD, Passwords
from services.notifier.duty_commands import absence, duty
from services.notifier.imports import read_divisions, read_staff
from services.notifier.routing_commands import add_routing_commands
from services.notifier.settings import NotifierSettings
from services.notifier.silence_commands import silence
from services.notifier.store.stores import Stores
from services.notifier.try_channels import try_channels
from services.notifier.unusable_channels import unusable_fields
from services.notifier.wiring import notifier, open_channels
from services.notifier.wording import read_wording
from shared.clock import SystemClock
from shared.commands import add_common_commands
from shared.errors import TemporaryFailure
from shared.lifecycle import CLOSE_SECONDS, http_server, run, run_service
from shared.logs import configure_logs, get_logger
from shared.metrics import ServiceMetrics
from shared.policy import PolicyInvalid
from shared.settings import load_settings

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
cli.add_typer(duty, name="duty")
cli.add_typer(absence, name="absence")
cli.add_typer(silence, name="silence")
add_routing_commands(cli, staff)
add_common_commands(cli)
log = get_logger(__name__)


@cli.command("serve")
def serve() -> None:
    """Raise and deliver alerts and serve the console, until SIGTERM or SIGINT."""
    settings = load_settings(NotifierSettings)
    configure_logs("notifier", settings.log_level)
    if not settings.is_https and settings.environment == "production":
        log.warning("SHOUWANG_NOTIFIER_PUBLIC_URL is not https: passwords and links travel in clear")
    run(_serve(settings))


@divisions.command("import")
def import_divisions(file: ListFile) -> None:
    """Add or rename divisions from a CSV or Excel file with the columns code, name."""
    names = read_list(lambda: read_divisions(file))
    with_stores(lambda stores: stores.directory.save_divisions(names))
    typer.echo(f"divisions imported: {len(names)}")


@staff.command("import")
def import_staff(file: ListFile, as_json: AsJson = False) -> None:
    """Add or change people from a CSV or Excel file, all or none, and print what became of each row.

    Columns: staff_id, name, role, division; at least one of email, webhook_url (with webhook_secret), wecom_user,
    wecom_robot_url, dingtalk_robot_url (with dingtalk_secret), feishu_robot_url (with feishu_secret), phone; if wanted
    channel_order (such as "aliyun_sms dingtalk") and active (yes or no).
    """
    settings = load_settings(CommandSettings)
    known = with_stores(lambda stores: stores.directory.known_divisions())
    people = read_list(lambda: read_staff(file, known, allow_plain=settings.webhook_allow_private), as_json=as_json)

    async def save(stores: Stores) -> frozenset[str]:
        before = await stores.rosters.known_staff(person.staff_id for person in people)
        await stores.directory.save_staff(people)
        return before

    before = with_stores(save)
    verdicts = {one.staff_id: "changed" if one.staff_id in before else "added" for one in people}
    unusable = {one.staff_id: found for one in people if (found := unusable_fields(one.contacts, settings))}
    if as_json:
        rows = [
            {"staff_id": staff_id, "verdict": verdict}
            | ({"unusable": unusable[staff_id]} if staff_id in unusable else {})
            for staff_id, verdict in verdicts.items()
        ]
        typer.echo(json.dumps({"imported": len(people), "rows": rows, "faults": []}))
        return
    for staff_id, verdict in verdicts.items():
        typer.echo("; not usable here: ".join([f"{staff_id}: {verdict}", *unusable.get(staff_id, ())]))
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
        stop(f"password: give {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters", 2)

    async def store(stores: Stores) -> bool:
        return await stores.directory.set_password(staff_id, await Passwords().hash(password))

    if not with_stores(store):
        stop("staff_id: no such person; import the staff list first", 2)
    typer.echo("password set")


@channel.command("test")
def test_channels(staff_id: str) -> None:
    """Send a test message to a person by each of their channels and print what became of it."""
    settings = load_settings(CommandSettings)

    async def send(stores: Stores) -> list[tuple[bool, str]] | None:
        async with AsyncExitStack() as stack:
            channels = await open_channels(stack, settings, SystemClock())
            return await try_channels(
                stores.directory,
                channels,
                staff_id,
                settings.public_url,
                read_wording(),
                takes_replies=settings.sms_reply_secret is not None,
            )

    outcomes = with_stores(send)
    if outcomes is None:
        stop("staff_id: no such person; import the staff list first", 2)
    for _, words in outcomes:
        typer.echo(words)
    if not outcomes or not all(sent for sent, _ in outcomes):
        raise typer.Exit(1)


async def _serve(settings: NotifierSettings) -> None:
    try:
        registry = CollectorRegistry()
        async with notifier(settings, registry) as parts:
            metrics = ServiceMetrics("notifier", registry)
            server = http_server(parts.app, settings.host, settings.port, settings.http_limits(), metrics)
            await run_service(server, parts.tasks, close_seconds=CLOSE_SECONDS)
    except TemporaryFailure as failure:
        log.error("the notifier cannot go on", reason=str(failure))
        raise SystemExit(1) from None
    except PolicyInvalid as error:
        log.error("the policy files cannot be used", faults=[str(fault) for fault in error.faults])
        raise SystemExit(2) from None


if __name__ == "__main__":
    cli()
