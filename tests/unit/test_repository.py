"""What the repository promises about itself."""

import re
import subprocess
from pathlib import Path

from deploy.env_example import render
from services.ingest.settings import IngestSettings
from services.notifier.settings import NotifierSettings
from services.scorer.settings import ScorerSettings

REPOSITORY = Path(__file__).parents[2]
SERVICES = ("ingest", "scorer", "notifier")


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := REPOSITORY / name).is_file()]


def test_the_example_settings_are_those_of_the_models() -> None:
    assert (REPOSITORY / ".env.example").read_text(encoding="utf-8") == render()


def test_every_setting_says_what_it_is_for() -> None:
    for settings in (IngestSettings, ScorerSettings, NotifierSettings):
        assert [name for name, declared in settings.model_fields.items() if not declared.description] == []


def test_no_file_is_large() -> None:
    assert [path.name for path in tracked_files() if path.stat().st_size > 2 * 1024 * 1024] == []


def test_every_make_target_has_its_line_of_help() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert phony is not None
    helped = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.M))
    assert set(phony[1].split()) == helped


def test_the_locks_hold_hashes_and_no_addresses() -> None:
    for lock in (REPOSITORY / "requirements").glob("*.txt"):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        assert text.count("==") >= 40
        pinned = re.findall(r"^[a-zA-Z0-9._-]+(?:\[[a-z,]+\])?==.*\\$", text, re.M)
        assert len(pinned) == len(re.findall(r"^[a-zA-Z0-9]", text, re.M)), f"{lock.name}: something is not hashed"


def test_no_service_reads_a_table_of_another_but_through_a_view() -> None:
    tables = REPOSITORY / "shared" / "db" / "tables"
    for owner in SERVICES[1:]:
        owned = re.findall(r'^\w+ = Table\(\n    "(\w+)"', (tables / f"{owner}.py").read_text(encoding="utf-8"), re.M)
        assert owned
        named = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE)\s+(?:{'|'.join(owned)})\b")
        for other in set(SERVICES) - {owner}:
            for path in (REPOSITORY / "services" / other).rglob("*.py"):
                assert named.findall(path.read_text(encoding="utf-8")) == [], path
