"""`shouwang-scorer policy`: look at policy files before they judge anybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from shared.policy import ABSENT, Difference, Policy, PolicyInvalid, compare, load_policies, read_policies

commands = typer.Typer(help="Check policy files, and see what differs between two.", no_args_is_help=True)
UNUSABLE = 2
DIFFERENT = 1
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@commands.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="A policy file, or a folder of them.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Check a policy file; in a folder, also that the files go together.

    Prints name, version, first day, division and content hash. Exit status 2: one message for each thing to mend.
    """
    try:
        policies = _in_folder(file) if file.is_dir() else read_policies([file])
    except PolicyInvalid as error:
        _refuse(error, as_json=as_json)
    described = [_description(policy) for policy in policies]
    if as_json:
        typer.echo(json.dumps({"ok": True, "policies": described}, ensure_ascii=False))
        return
    for line in described:
        typer.echo("good: " + "  ".join(f"{name} {value}" for name, value in line.items()))


@commands.command("diff")
def diff(
    old: Annotated[Path, typer.Argument(help="A policy file.", show_default=False)],
    new: Annotated[Path, typer.Argument(help="The policy file to compare with it.", show_default=False)],
    as_json: Json = False,
) -> None:
    """List the fields that differ between two policy files.

    Exit status 0: none differs; 1: some do; 2: a file cannot be used.
    """
    try:
        before, after = read_policies([old, new])
    except PolicyInvalid as error:
        _refuse(error, as_json=as_json)
    differences = compare(before, after)
    if as_json:
        typer.echo(json.dumps({"differences": [_entry(one) for one in differences]}, ensure_ascii=False))
    else:
        for one in differences:
            typer.echo(f"{one.path}: {_text(one.old)} -> {_text(one.new)}")
    if differences:
        raise typer.Exit(DIFFERENT)


def _in_folder(folder: Path) -> list[Policy]:
    load_policies(folder)
    return read_policies(sorted(folder.glob("*.json")))


def _description(policy: Policy) -> dict[str, str]:
    return {
        "name": policy.name,
        "version": policy.version,
        "effective_from": policy.effective_from.isoformat(),
        "division": policy.division_prefix or "all",
        "hash": policy.content_hash,
    }


def _entry(difference: Difference) -> dict[str, Any]:
    """A side that lacks the field lacks the key."""
    sides = {"old": difference.old, "new": difference.new}
    return {"path": difference.path} | {side: value for side, value in sides.items() if value is not ABSENT}


def _text(value: object) -> str:
    return "(absent)" if value is ABSENT else json.dumps(value, ensure_ascii=False)


def _refuse(error: PolicyInvalid, *, as_json: bool) -> NoReturn:
    if as_json:
        faults = [
            {"file": fault.where, "line": fault.line, "path": fault.path, "detail": fault.detail}
            for fault in error.faults
        ]
        typer.echo(json.dumps({"ok": False, "faults": faults}, ensure_ascii=False))
    else:
        typer.echo(str(error), err=True)
    raise typer.Exit(UNUSABLE)
