"""Reads policy files: all of what is named, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path as FilePath

from pydantic import ValidationError

from shared.events.checking import fault_of
from shared.policy.book import PolicyBook
from shared.policy.checks import contradictions
from shared.policy.faults import Path, PolicyFault, PolicyInvalid, dotted
from shared.policy.jurisdictions import Policies
from shared.policy.lines import FieldLines
from shared.policy.model import Policy

SHIPPED = FilePath(__file__).parents[1] / "policies"


def parse_policy(document: Mapping[str, object], *, where: str = "policy") -> Policy:
    """Check a decoded policy; raises PolicyInvalid with one fault per field, but for repeated keys: those are gone."""
    return _checked(document, where, lambda _path: None)


def load_policy(path: FilePath) -> Policy:
    """Read one policy file; raises PolicyInvalid (not readable, not JSON, or a faulty field)."""
    where = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text)
    except OSError as error:
        raise _refused(where, None, f"cannot be read: {error.strerror or type(error).__name__}") from error
    except json.JSONDecodeError as error:
        raise _refused(where, error.lineno, f"this is not JSON: {error.msg} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise _refused(where, None, "not a JSON file in UTF-8") from error
    lines = FieldLines(text)
    repeated = [PolicyFault(where, lines.of(path), dotted(path), "this key is given twice") for path in lines.repeated]
    try:
        policy = _checked(document, where, lines.of)
    except PolicyInvalid as error:
        raise PolicyInvalid([*repeated, *error.faults]) from error
    if repeated:
        raise PolicyInvalid(repeated)
    return policy


def load_policies(folder: FilePath | None = None) -> Policies:
    """Read the policy files (*.json) of all jurisdictions in a folder; the shipped ones fill in for the nation.

    folder: None = only what ships with the program. Raises PolicyInvalid with every fault of every file.
    """
    if folder is None:
        return Policies([], default_policies())
    found = read_policies(sorted(folder.glob("*.json")))
    if not found:
        raise _refused(str(folder), None, "holds no policy file (*.json)")
    books = _books(found)
    return Policies(books, next((book for book in books if not book.division_prefix), default_policies()))


def default_policies() -> PolicyBook:
    """The policy versions that come with the program."""
    return PolicyBook(read_policies(sorted(SHIPPED.glob("*.json"))))


def read_policies(paths: Iterable[FilePath]) -> list[Policy]:
    """Read several policy files; raises PolicyInvalid with the faults of all."""
    policies: list[Policy] = []
    faults: list[PolicyFault] = []
    for path in paths:
        try:
            policies.append(load_policy(path))
        except PolicyInvalid as error:
            faults += error.faults
    if faults:
        raise PolicyInvalid(faults)
    return policies


def _books(policies: Iterable[Policy]) -> list[PolicyBook]:
    """One book for each division; decisions cite name and version, so neither may mean two things."""
    by_prefix: dict[str, list[Policy]] = {}
    faults: list[PolicyFault] = []
    prefixes: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for policy in policies:
        by_prefix.setdefault(policy.division_prefix, []).append(policy)
        if prefixes.setdefault(policy.name, policy.division_prefix) != policy.division_prefix:
            faults.append(PolicyFault(policy.name, None, "name", "two divisions use this name"))
        if (policy.name, policy.version) in seen:
            faults.append(PolicyFault(policy.name, None, "version", f"two files are version {policy.version}"))
        seen.add((policy.name, policy.version))
    books = []
    for versions in by_prefix.values():
        try:
            books.append(PolicyBook(versions))
        except PolicyInvalid as error:
            faults += error.faults
    if faults:
        raise PolicyInvalid(faults)
    return books


def _checked(document: object, where: str, line_of: Callable[[Path], int | None]) -> Policy:
    def fault(path: Path, detail: str) -> PolicyFault:
        return PolicyFault(where, line_of(path), dotted(path), detail)

    try:
        policy = Policy.model_validate(document)
    except ValidationError as error:
        lines = error.errors(include_url=False, include_input=False)
        raise PolicyInvalid(
            fault(tuple(step for step in line["loc"] if step != "[key]"), fault_of(line).detail) for line in lines
        ) from error
    found = [fault(path, detail) for path, detail in contradictions(policy)]
    if found:
        raise PolicyInvalid(found)
    return policy


def _refused(where: str, line: int | None, detail: str) -> PolicyInvalid:
    return PolicyInvalid([PolicyFault(where, line, "document", detail)])
