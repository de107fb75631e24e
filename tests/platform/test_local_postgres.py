import os
import shutil
import stat
from pathlib import Path

import asyncpg
import pytest

from deploy.local.children import start_time
from deploy.local.postgres import LocalPostgres, programs_of_wheel
from deploy.local.readiness import run_blocking

pytestmark = pytest.mark.integration


def ask(dsn: str, *statements: str) -> object:
    answers: list[object] = []

    async def body() -> None:
        connection = await asyncpg.connect(dsn, ssl=False)
        try:
            for statement in statements:
                answers.append(await connection.fetchval(statement))
        finally:
            await connection.close()

    run_blocking(body)
    return answers[-1]


def test_rows_are_there_after_a_restart_and_after_a_kill(tmp_path: Path) -> None:
    with LocalPostgres(tmp_path / "run 目录", port=0) as postgres:
        dsn = postgres.dsn
        ask(dsn, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
        postgres.restart()
        after_restart = ask(dsn, "SELECT n FROM kept")
        postgres.kill()
        postgres.start()

        assert after_restart == ask(dsn, "SELECT n FROM kept") == 7
        assert ask(dsn, "SHOW fsync") == "on"
        pid = postgres.pid
    assert start_time(pid) is None


def test_a_second_run_in_the_directory_finds_the_rows_and_the_password(tmp_path: Path) -> None:
    with LocalPostgres(tmp_path, port=0, durable=False) as first:
        ask(first.dsn, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
    with LocalPostgres(tmp_path, port=0, durable=False) as second:
        assert ask(second.dsn, "SELECT n FROM kept") == 7


def test_a_password_is_required_and_kept_from_other_eyes(tmp_path: Path) -> None:
    with LocalPostgres(tmp_path, port=0, durable=False) as postgres:
        wrong = postgres.dsn.replace("shouwang:", "shouwang:x")

        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(wrong, "SELECT 1")
        assert stat.S_IMODE((tmp_path / "postgres.password").stat().st_mode) == 0o600


def test_databases_are_made_copied_and_removed(tmp_path: Path) -> None:
    with LocalPostgres(tmp_path, port=0, durable=False) as postgres:
        template = postgres.create_database("template one")
        ask(template, "CREATE TABLE kept (n int)")
        copy = postgres.create_database("copy", template="template one")

        assert postgres.create_database("copy") == copy
        assert ask(copy, "SELECT count(*) FROM kept") == 0
        postgres.drop_database("copy")
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            ask(copy, "SELECT 1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_may_keep_the_clone_and_the_database_in_a_folder_closed_to_everybody_else(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wheel = programs_of_wheel().parents[1]
    for folder in (f"{wheel.name}/pginstall18", f"{wheel.name}.libs"):
        shutil.copytree(wheel.parent / folder, closed / folder, symlinks=True)
    programs = closed / wheel.name / "pginstall18" / "bin"
    with LocalPostgres(closed / "run", port=0, durable=False, programs=programs) as postgres:
        assert ask(postgres.dsn, "SELECT 1") == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_the_next_free_port_is_taken_when_the_wanted_one_is_in_use(tmp_path: Path) -> None:
    with LocalPostgres(tmp_path / "a", port=0, durable=False) as first:
        taken = int(first.dsn.rpartition(":")[2].partition("/")[0])
        with LocalPostgres(tmp_path / "b", port=taken, durable=False) as second:
            other = int(second.dsn.rpartition(":")[2].partition("/")[0])

            assert other > taken
            assert ask(second.dsn, "SELECT 1") == 1
