"""The shipped policies with room for every message at every hour, for where people are files and journals.

A local run and the fault runs tell a handful of people about everything, at whatever time of day: by the shipped
policy they would hear of most of it in the digest after the next ten minutes, or in the morning.
"""

import json
from pathlib import Path

from shared.policy.reading import SHIPPED

MOST = {
    "messages_per_person": {"most": 600, "within_minutes": 1},
    "messages_a_day_per_person_and_household": 100,
}


def write_unpaced_policies(folder: Path) -> Path:
    """Write them, for SHOUWANG_NOTIFIER_POLICIES; the folder. They call themselves by another version."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in SHIPPED.glob("*.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        document["version"] = f"{document['version'][:10]}-unpaced"
        document["delivery"] |= {"quiet_to": document["delivery"]["quiet_from"], **MOST}
        (folder / file.name).write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return folder
