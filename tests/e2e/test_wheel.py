"""The wheel is what gets deployed: it must work without this folder, with the locked requirements alone."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from deploy.local.testing import SessionPostgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sources as they are."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(REPOSITORY))
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a clean environment that holds the wheel and the locked requirements."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    lock = str(REPOSITORY / "requirements" / "run.txt")
    run(str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", lock)
    run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel))
    return home / "bin"


def run(*command: str, **environment: str) -> str:
    """Run a command away from the sources; fail with what it said."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, env={**inherited, **environment}, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_the_wheel_carries_all_the_services_need_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {"services", "shared"} == {top for top in tops if not top.endswith(".dist-info")}
    assert any(name.startswith("shared/db/migrations/versions/0001") for name in names)
    assert any(name.startswith("shared/policies/") and name.endswith(".json") for name in names)
    assert any(name.endswith("/zh_CN/LC_MESSAGES/messages.po") for name in names)
    assert any("/templates/" in name and name.endswith(".html") for name in names)


@pytest.mark.parametrize("service", ["ingest", "scorer", "notifier"])
def test_each_command_explains_itself_and_migrates_an_empty_database(
    service: str, installed: Path, postgres: SessionPostgres
) -> None:
    program = str(installed / f"shouwang-{service}")
    assert "serve" in run(program, "--help")
    database = f"wheel_{service}"
    assert "database schema" in run(program, "migrate", DATABASE_URL=postgres.create_database(database))
    postgres.drop_database(database)
