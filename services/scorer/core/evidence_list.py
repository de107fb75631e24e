"""A household's evidence, in order, read from its stored form only when somebody looks at it.

An ordinary event adds one row to those that are stored and needs none of them, since their sums are stored as well. So
what an event costs does not grow with what the household has lived through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic_core import from_json, to_json

from services.scorer.core.evidence import Evidence


class EvidenceList:
    """Never changed; `with_one` makes another.

    Its stored form is a list of sources, in the order in which the entries first name them, and a row of JSON for each
    entry: its id, the place of its source, day and authority; then, where it needs them, from when on it is certain and
    its episode; then its effects.
    """

    __slots__ = ("_added", "_entries", "_rows", "_sources")

    def __init__(self, entries: tuple[Evidence, ...] = ()) -> None:
        self._entries: tuple[Evidence, ...] | None = entries
        # What is written already, and the entries that come after it.
        self._sources: Sequence[str] = ()
        self._rows = b""
        self._added = entries

    @classmethod
    def of_stored(cls, sources: Sequence[str], rows: bytes) -> Self:
        """Take what `stored` gave."""
        found = cls.__new__(cls)
        found._entries, found._sources, found._rows, found._added = None, sources, rows, ()
        return found

    @property
    def entries(self) -> tuple[Evidence, ...]:
        """All entries."""
        if self._entries is None:
            self._entries = _read(self._sources, self._rows) + self._added
        return self._entries

    @property
    def stored(self) -> tuple[Sequence[str], bytes]:
        """The sources, and the rows with commas between them."""
        if self._added:
            for entry in self._added:
                if entry.source not in self._sources:
                    self._sources = [*self._sources, entry.source]
            rows = [_row(entry, self._sources) for entry in self._added]
            self._rows = b",".join([self._rows, *rows] if self._rows else rows)
            self._added = ()
        return self._sources, self._rows

    def with_one(self, entry: Evidence) -> EvidenceList:
        """The same evidence and one entry more, later in order than all others."""
        twin = EvidenceList.of_stored(self._sources, self._rows)
        twin._added = (*self._added, entry)
        if self._entries is not None:
            twin._entries = (*self._entries, entry)
        return twin

    def may_have_effect(self, *codes: int) -> bool:
        """Whether some entry may begin with one of these effects; False is certain, True only a guess."""
        # An id that looks like an effect is taken for one, which costs time and nothing else.
        written = any([b",[%d" % code in self._rows for code in codes])  # noqa: C419  a list is quicker here
        return written or any(entry.effects and entry.effects[0][0] in codes for entry in self._added)

    def may_have_episode(self, episode: str) -> bool:
        """Whether some entry may be of an episode; False is certain, True only a guess."""
        return to_json(episode) in self._rows or any(entry.episode == episode for entry in self._added)


def _row(entry: Evidence, sources: Sequence[str]) -> bytes:
    event_id, source, occurred, authority, certain_from, episode, effects = entry
    seldom = (certain_from, episode) if certain_from or episode else ()
    return to_json((event_id, sources.index(source), occurred, authority, *seldom, *effects))


def _read(sources: Sequence[str], rows: bytes) -> tuple[Evidence, ...]:
    found = []
    for event_id, source, occurred, authority, *effects in from_json(b"[%b]" % rows):
        certain_from, episode = 0, ""
        if effects and isinstance(effects[0], int):
            certain_from, episode, *effects = effects
        values = (event_id, sources[source], occurred, authority, certain_from, episode, tuple(map(tuple, effects)))
        found.append(tuple.__new__(Evidence, values))  # what Evidence._make does, without its call
    return tuple(found)
