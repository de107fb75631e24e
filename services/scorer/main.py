"""`shouwang-scorer`: the service, and commands that use the very code the service uses."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from services.scorer.explain_command import explain
from services.scorer.grade_command import CasesRefused, area_lines, grade_lines
from services.scorer.policy_command import commands as policy_commands
from services.scorer.quarantine_command import commands as quarantine_commands
from services.scorer.rebuild_command import rebuild
from services.scorer.settings import ScorerSettings
from services.scorer.verify_command import verify
from services.scorer.wiring import scorer
from shared.commands import add_common_commands
from shared.errors import TemporaryFailure
from shared.lifecycle import CLOSE_SECONDS, calm_collector, http_server, run, run_service
from shared.logs import configure_logs, get_logger
from shared.metrics import ServiceMetrics
from shared.policy import PolicyBook, PolicyInvalid, default_policies, load_policy
from shared.settings import load_settings

cli = typer.Typer(
    help="Grade households: consume their events, keep each one's grade with its reasons.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
add_common_commands(cli)
cli.command("explain")(explain)
cli.command("rebuild")(rebuild)
cli.command("verify")(verify)
cli.add_typer(quarantine_commands, name="quarantine")
cli.add_typer(policy_commands, name="policy")
log = get_logger(__name__)

PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", help="A policy file; without it the national default that ships with Shouwang"),
]


@cli.command()
def serve() -> None:
    """Consume household events and keep each household's grade, until SIGTERM or SIGINT."""
    settings = load_settings(ScorerSettings)
    configure_logs("scorer", settings.log_level)
    run(_serve(settings))


@cli.command()
def grade(
    policy: PolicyFile = None,
    elimination: Annotated[
        bool, typer.Option("--elimination", help="Add what stands in the way of marking the risk as eliminated")
    ] = False,
) -> None:
    """Grade the cases on standard input (JSON Lines) and write one JSON line each."""
    _answer(lambda: grade_lines(sys.stdin, _policies(policy), elimination=elimination))


@cli.command()
def area(policy: PolicyFile = None) -> None:
    """Judge the areas on standard input (JSON Lines) and write one JSON line each."""
    _answer(lambda: area_lines(sys.stdin, _policies(policy).versions[-1].area))


def _policies(path: Path | None) -> PolicyBook:
    return default_policies() if path is None else PolicyBook([load_policy(path)])


def _answer(lines: Callable[[], Iterator[str]]) -> None:
    try:
        for line in lines():
            sys.stdout.write(line + "\n")
    except (CasesRefused, PolicyInvalid, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


async def _serve(settings: ScorerSettings) -> None:
    try:
        registry = CollectorRegistry()
        async with scorer(settings, registry) as parts:
            metrics = ServiceMetrics("scorer", registry)
            server = http_server(parts.app, settings.host, settings.port, settings.http_limits(), metrics)
            calm_collector()
            await run_service(server, parts.tasks, close_seconds=CLOSE_SECONDS)
    except TemporaryFailure as failure:
        log.error("the scorer cannot go on", reason=str(failure))
        raise SystemExit(1) from None
    except PolicyInvalid as error:
        log.error("the policy files cannot be used", faults=[str(fault) for fault in error.faults])
        raise SystemExit(2) from None


if __name__ == "__main__":
    cli()
