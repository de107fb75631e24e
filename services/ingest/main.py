"""Commands of shouwang-ingest."""

from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from services.ingest import keys
from services.ingest.load_test import load_test
from services.ingest.settings import IngestSettings
from services.ingest.wiring import ingest
from shared.clock import SystemClock
from shared.commands import add_common_commands
from shared.events.schemas import drift, write_schemas
from shared.lifecycle import CLOSE_SECONDS, calm_collector, run, run_service
from shared.logs import configure_logs
from shared.settings import load_settings

cli = typer.Typer(
    help="Takes household events over HTTP and puts them on the log.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cli.add_typer(keys.commands, name="keys")
cli.command("load-test")(load_test)
add_common_commands(cli)


@cli.command("serve")
def serve() -> None:
    """Take events until SIGTERM or SIGINT."""
    settings = load_settings(IngestSettings)
    configure_logs("ingest", settings.log_level)
    run(_serve(settings))


async def _serve(settings: IngestSettings) -> None:
    async with ingest(settings, SystemClock(), CollectorRegistry()) as running:
        calm_collector()
        await run_service(running.server, running.tasks, close_seconds=CLOSE_SECONDS)


@cli.command("schemas")
def schemas(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a file is not up to date.")] = False,
) -> None:
    """Write the JSON Schemas of the events from the models."""
    changed = drift() if check else write_schemas()
    for name in changed:
        typer.echo(f"{'differs' if check else 'written'}: {name}")
    if check and changed:
        typer.echo("run `shouwang-ingest schemas` and commit what it writes", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    cli()
