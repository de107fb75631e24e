"""The planted bugs fit the services as they are: one that no longer finds its place would convict nobody."""

import subprocess
import sys

import pytest

from deploy.local.places import REPOSITORY

PLANT = """
from tests.chaos.planted_bugs import BUGS
for bug in BUGS:
    if bug.service == {service!r}:
        bug.plant()
"""


@pytest.mark.parametrize("service", ["ingest", "scorer", "notifier"])
def test_each_planted_bug_finds_its_place(service: str) -> None:
    planting = [sys.executable, "-c", PLANT.format(service=service)]
    ended = subprocess.run(planting, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
