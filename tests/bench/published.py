"""The figures that docs/performance.md shows, kept line by line, so that a long benchmark can be measured in parts.

`docs/performance.json` holds of each line what the last run at full size measured, with the date, the commit and the
machine of that run. A run replaces its own lines; those of another machine or of other servers go, for a table that
mixes machines says nothing.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.places import REPOSITORY
from tests.bench.results import Record

PUBLISHED = REPOSITORY / "docs" / "performance.json"
OF_THE_RUN = ("quick", "scale", "date", "commit")
"""Facts of a run that say nothing of the machine."""


def read_published(path: Path = PUBLISHED) -> list[Record]:
    """What is published now; nothing, if there is no file yet."""
    try:
        return list(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return []


def merged(old: Sequence[Record], fresh: Sequence[Record], order: Sequence[str]) -> list[Record]:
    """Put fresh lines in the place of the old ones of the same name. order: of the names; others are left out."""
    machine = machine_of(fresh)
    kept = {one["name"]: one for one in old if not _differ(machine_of([one]), machine)}
    kept |= {one["name"]: one for one in fresh}
    return [kept[name] for name in order if name in kept]


def machine_of(lines: Sequence[Record]) -> dict[str, str]:
    """What was measured on, of the servers too where a line used them."""
    facts: dict[str, str] = {}
    for one in lines:
        facts |= {name: value for name, value in one["run"].items() if name not in OF_THE_RUN}
    return facts


def _differ(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two machines contradict one another in what both tell."""
    return any(one[name] != other[name] for name in one.keys() & other.keys())
