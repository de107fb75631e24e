"""The shipped policies with room for every message at every hour, for where people are files and journals.

A local run and the fault runs tell a handful of people about everything, at whatever time of day: by the shipped
policy they would hear of most of it in the digest after the next ten minutes, or in the morning.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.policy.reading import SHIPPED

MOST = {
    "messages_per_person": {"most": 600, "within_minutes": 1},
    "messages_a_day_per_person_and_household": 100,
}


def write_unpaced_policies(folder: Path) -> Path:
    """Write them, for SHOUWANG_NOTIFIER_POLICIES; the folder. They call themselves by another version."""
    return _write(folder, "unpaced", MOST)


def write_policies_for_every_hour(folder: Path) -> Path:
    """Write the shipped policies as they are, but for their quiet hours; the folder."""
    return _write(folder, "every-hour", {})


def _write(folder: Path, name: str, delivery: Mapping[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in SHIPPED.glob("*.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        document["version"] = f"{document['version'][:10]}-{name}"
        document["delivery"] |= {"quiet_to": document["delivery"]["quiet_from"], **delivery}
        (folder / file.name).write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return folder
