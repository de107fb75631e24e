"""A household event: one fact about one household, as grading reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class SourceClass(StrEnum):
    """Who speaks, most authoritative first."""

    DEPARTMENT = "department"
    SURVEY = "survey"
    THIRD_PARTY = "third_party"
    CADRE = "cadre"
    GRID = "grid"
    SELF = "self"


AUTHORITY: Mapping[SourceClass, int] = {source: rank for rank, source in enumerate(SourceClass)}
"""Rank of each source class: 0 weighs most."""

Identity = tuple[str, str]
"""(source, event_id): what makes two deliveries the same event."""


@dataclass(frozen=True, slots=True)
class HouseholdEvent:
    """One event of a household.

    type: without prefix and version, e.g. "health.major_illness"; occurred_on, recorded_on: Asia/Shanghai days.
    payload: decoded JSON object; episode: several reports of one thing share it (None or "" = none);
    source: URI of the app or department; division: as the sender
    gave it, "" = not known. Identity is (source, event_id).
    """

    event_id: str
    type: str
    occurred_on: date
    recorded_on: date
    source_class: SourceClass
    payload: Mapping[str, object]
    episode: str | None = None
    source: str = ""
    division: str = ""

    @property
    def identity(self) -> Identity:
        """What makes two deliveries the same event."""
        return (self.source, self.event_id)

    @property
    def family(self) -> str:
        """The type before the dot."""
        return self.type.partition(".")[0]
