"""What is wrong with policy files, said so that whoever wrote them can mend them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys and list places that lead to a field, from the document's top."""


@dataclass(frozen=True, slots=True)
class PolicyFault:
    """One thing to mend. path: dotted, "document" for the whole; line: of the file, None where there is no file."""

    where: str
    line: int | None
    path: str
    detail: str

    def __str__(self) -> str:
        line = "" if self.line is None else f"line {self.line}: "
        return f"{self.where}: {line}{self.path}: {self.detail}"


class PolicyInvalid(ValueError):
    """Policy files that must not be used; `faults` has one entry for each thing to mend, the message one line each."""

    def __init__(self, faults: Iterable[PolicyFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def dotted(path: Path) -> str:
    """Write a path as people read it: score.income_bands.0.points."""
    return ".".join(str(step) for step in path) or "document"
