"""The shipped policies with a message budget that nobody uses up, for where people are files and journals.

A local run and the fault runs tell a handful of people about everything: by the shipped budget they would hear of most
of it in the digest after the next ten minutes.
"""

import json
from pathlib import Path

from shared.policy.reading import SHIPPED

BUDGET = {"most": 600, "within_minutes": 1}


def write_unpaced_policies(folder: Path) -> Path:
    """Write them, for SHOUWANG_NOTIFIER_POLICIES; the folder. They call themselves by another version."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in SHIPPED.glob("*.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        document["version"] = f"{document['version'][:10]}-unpaced"
        document["delivery"]["messages_per_person"] = BUDGET
        (folder / file.name).write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return folder
