"""Finds the line of each field in a JSON text, so that a fault can be shown where it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from shared.policy.faults import Path

_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++|\n')


class FieldLines:
    """The line of each field of a text that json.loads has read; `repeated`: fields given more than once."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self.repeated: list[Path] = []
        self._walk(text)

    def of(self, path: Path) -> int:
        """The line of a field; of one that is missing, the line of what it is missing from."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _walk(self, text: str) -> None:
        # One step for each container that is open: the key or place of what is being read in it, None before a key.
        steps: list[str | int | None] = []
        for line, part in _numbered(text):
            if part in "{[":
                self._note(steps, line)
                steps.append(None if part == "{" else 0)
            elif part in "}]":
                steps.pop()
            elif part == ",":
                steps[-1] = None if not isinstance(place := steps[-1], int) else place + 1
            elif part != ":":
                if steps and steps[-1] is None:
                    steps[-1] = str(json.loads(part))
                    self._note_key(steps, line)
                else:
                    self._note(steps, line)

    def _note_key(self, steps: list[str | int | None], line: int) -> None:
        path = _path(steps)
        if path in self._lines:
            self.repeated.append(path)
        self._lines[path] = line

    def _note(self, steps: list[str | int | None], line: int) -> None:
        self._lines.setdefault(_path(steps), line)


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    line = 1
    for match in _TOKENS.finditer(text):
        if match.group() == "\n":
            line += 1
        else:
            yield line, match.group()


def _path(steps: list[str | int | None]) -> Path:
    return tuple(step for step in steps if step is not None)
