import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.places import REPOSITORY
from deploy.local.readiness import kafka_round_trip, run_blocking
from deploy.local.testing import session_kafka, session_postgres
from tests.platform.waiting import all_gone, eventually, recorded_processes

pytestmark = pytest.mark.integration

HANDLES = {
    "ingest_url",
    "scorer_url",
    "notifier_url",
    "kafka_bootstrap_servers",
    "database_url",
    "api_key",
    "console_user",
    "console_password",
    "mail_file",
    "webhook_file",
}
ALL = {"kafka", "postgres", "sinks", "ingest", "scorer", "notifier"}


class Run:
    """One `make run` with stand-ins for the services."""

    def __init__(self, directory: Path, **environment: str) -> None:
        told = {"RUN_DIR": str(directory), "SEED": "none", **environment}
        kept = {
            key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS")
        }
        self.directory = directory
        self.output = directory.parent / "output.txt"
        with self.output.open("ab") as output:
            argv = [sys.executable, "-m", "tests.platform.run_with_stand_ins"]
            self.process = subprocess.Popen(argv, cwd=REPOSITORY, env={**kept, **told}, stdout=output, stderr=output)

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_ready(self) -> dict[str, str]:
        file = self.directory / "run.json"
        eventually(lambda: file.exists() or self.process.poll() is not None, seconds=60)
        assert file.exists(), self.said()
        return dict(json.loads(file.read_text(encoding="utf-8")))

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=40)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "run 目录"


def test_a_run_is_ready_stops_without_orphans_and_a_killed_one_is_cleaned_up_by_the_next(directory: Path) -> None:
    first = Run(directory)
    try:
        told = first.wait_ready()
        processes = recorded_processes(directory)
        mode = stat.S_IMODE((directory / "run.json").stat().st_mode)
        second = Run(directory)
        assert second.process.wait(timeout=20) == 1
        assert f"in use by another run (process {first.process.pid})" in second.said()
        first.process.kill()
        first.process.wait()
        assert all_gone(processes)
    finally:
        first.process.kill()
        first.process.wait()
    assert set(told) == HANDLES and set(processes) == ALL
    assert mode == 0o600
    assert "/v1/events/batch" in first.said()

    third = Run(directory)
    try:
        assert eventually(lambda: not (directory / "run.json").exists())
        told_again = third.wait_ready()
        processes = recorded_processes(directory)
        code = third.end(signal.SIGTERM)
    finally:
        third.process.kill()
        third.process.wait()
    assert code == 0, third.said()
    assert all_gone(processes) and not (directory / "run.json").exists()
    assert f"(process {first.process.pid}) was killed" in third.said()
    for kept in ("api_key", "console_password"):
        assert told_again[kept] == told[kept]


def test_a_service_that_dies_five_times_ends_the_run_and_leaves_the_named_servers_alone(directory: Path) -> None:
    with session_kafka() as kafka, session_postgres() as postgres:
        named = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "DATABASE_URL": postgres.dsn}
        run = Run(directory, STAND_IN_DIES="scorer", **named)
        _ends_after_five_deaths(run)
        run_blocking(lambda: kafka_round_trip(kafka.bootstrap_servers))
    assert not (directory / "kafka").exists() and not (directory / "postgres").exists()


def _ends_after_five_deaths(run: Run) -> None:
    try:
        assert run.process.wait(timeout=60) == 1
    finally:
        run.process.kill()
        run.process.wait()
    assert "scorer died 5 times within a minute" in run.said()
    assert "scorer cannot go on" in run.said()
    assert not (run.directory / "run.json").exists()
    assert all_gone(recorded_processes(run.directory))


def test_ctrl_c_while_kafka_is_still_starting_stops_everything(directory: Path) -> None:
    run = Run(directory)
    try:
        assert eventually(lambda: "kafka" in recorded_processes(directory))
        processes = recorded_processes(directory)
        assert run.end(signal.SIGINT) == 0
    finally:
        run.process.kill()
        run.process.wait()
    assert all_gone(processes)
