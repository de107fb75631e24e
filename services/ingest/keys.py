"""Commands for access keys. Services take notice of a new or revoked key within seconds, without a restart."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError

from shared.access import ANY_TYPE, AccessKey, Scopes
from shared.clock import SystemClock, to_rfc3339
from shared.db.access_keys import AccessKeys
from shared.db.migrate import check_schema, newest_revision
from shared.db.session import open_engine
from shared.errors import TemporaryFailure
from shared.events.catalogue import EVENT_TYPES
from shared.settings import ServiceSettings, load_settings

ACTOR = "shouwang-ingest keys"
commands = typer.Typer(help="Make, list and revoke the keys that programs use.", no_args_is_help=True)
Answer = TypeVar("Answer")


class _DatabaseOnly(ServiceSettings):
    kafka_bootstrap_servers: str = "not needed"


@commands.command("create")
def create(
    name: Annotated[str, typer.Option(help="What uses the key, such as village-notes; no person's name.")],
    division: Annotated[str, typer.Option(help="Digits that the codes of its divisions begin with: 99, 990100101.")],
    types: Annotated[
        list[str] | None, typer.Option(help="Event types it may send: '*', a family such as 'health.*', or a type.")
    ] = None,
    sourceclasses: Annotated[
        list[str] | None, typer.Option(help="As whom it may speak: department, survey, third_party, cadre, grid, self.")
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option(help="Source URIs it may send under, or beginnings such as 'urn:dept:health:*' (default: all)."),
    ] = None,
    read_alerts: Annotated[bool, typer.Option("--read-alerts", help="It may read alerts and households.")] = False,
    act_on_alerts: Annotated[
        bool, typer.Option("--act-on-alerts", help="It may acknowledge and close alerts.")
    ] = False,
    expires_in_days: Annotated[int | None, typer.Option(min=1, max=3660, help="Days until it ends by itself.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make a key and print it: the only time it can be seen.

    Lists are given with commas or by repeating the option.
    """
    scopes = _scopes(
        division,
        _several(types),
        _several(sourceclasses),
        sources=_several(sources) or ("*",),
        read_alerts=read_alerts,
        act_on_alerts=act_on_alerts,
    )
    now = SystemClock().now()
    expires_at = now + timedelta(days=expires_in_days) if expires_in_days else None
    key = _run(lambda keys: keys.create(name, scopes, expires_at=expires_at, actor=ACTOR))
    if as_json:
        typer.echo(json.dumps({"key_id": key.partition(".")[0], "key": key, "scopes": scopes.model_dump(mode="json")}))
    else:
        typer.echo(key)


@commands.command("list")
def list_keys(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False) -> None:
    """List every key: what it may do, and whether it is in force. Secrets are stored nowhere."""
    now = SystemClock().now()
    for key in _run(lambda keys: keys.access_keys()).values():
        typer.echo(json.dumps(_row(key, now)) if as_json else _line(key, now))


@commands.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="The part of the key before its dot.")]) -> None:
    """End a key; every service stops taking it within 5 seconds."""
    if not _run(lambda keys: keys.revoke(key_id, SystemClock().now(), actor=ACTOR)):
        typer.echo("there is no key in force with this id", err=True)
        raise typer.Exit(1)
    typer.echo(f"revoked: {key_id}")


def _several(given: list[str] | None) -> tuple[str, ...]:
    return tuple(word.strip() for words in given or [] for word in words.split(",") if word.strip())


def _scopes(
    division: str,
    types: tuple[str, ...],
    sourceclasses: tuple[str, ...],
    *,
    sources: tuple[str, ...],
    read_alerts: bool,
    act_on_alerts: bool,
) -> Scopes:
    known = {ANY_TYPE, *EVENT_TYPES, *(f"{event_type.family}.*" for event_type in EVENT_TYPES.values())}
    if unknown := [name for name in types if name not in known]:
        raise typer.BadParameter(f"not an event type, a family or '*': {', '.join(unknown)}")
    # Without types there is nothing to write, and without a source class nobody to write as.
    if bool(types) != bool(sourceclasses):
        raise typer.BadParameter("--types and --sourceclasses belong together: what it may send, and as whom")
    if not division.isascii():
        raise typer.BadParameter("--division takes 2 to 12 digits")
    try:
        return Scopes.model_validate(
            {
                "division": division,
                "types": types,
                "sourceclasses": sourceclasses,
                "sources": sources,
                "read_alerts": read_alerts,
                "act_on_alerts": act_on_alerts,
            }
        )
    except ValidationError as error:
        fields = {str(found["loc"][0]): found["msg"] for found in error.errors(include_input=False)}
        raise typer.BadParameter("; ".join(f"--{name}: {message}" for name, message in fields.items())) from None


def _run(step: Callable[[AccessKeys], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        async with open_engine(load_settings(_DatabaseOnly), ACTOR) as engine:
            await check_schema(engine, newest_revision())
            return await step(AccessKeys(engine))

    try:
        return asyncio.run(run())
    except TemporaryFailure as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(1) from None


def _state(key: AccessKey, now: datetime) -> str:
    if key.in_force(now):
        return "in force"
    return "revoked" if key.revoked_at else "expired"


def _row(key: AccessKey, now: datetime) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "state": _state(key, now),
        "created_at": to_rfc3339(key.created_at),
        "expires_at": to_rfc3339(key.expires_at) if key.expires_at else None,
        "scopes": key.scopes.model_dump(mode="json"),
    }


def _line(key: AccessKey, now: datetime) -> str:
    scopes = key.scopes
    may = [f"division {scopes.division}"]
    if scopes.sourceclasses:
        may.append(f"writes {','.join(scopes.types)} as {','.join(scopes.sourceclasses)}")
    may += ["reads alerts"] * scopes.read_alerts + ["acts on alerts"] * scopes.act_on_alerts
    return f"{key.key_id}  {_state(key, now):8}  {key.name}: {'; '.join(may)}"
