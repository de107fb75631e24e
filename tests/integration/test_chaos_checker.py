"""The judge of chaos runs: an honest run is found sound, each wrong is convicted, for itself and for nothing else."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from deploy.local.testing import SessionPostgres
from shared.db.session import open_engine
from shared.settings import ServiceSettings, asyncpg_url
from tests.chaos.checker import ANOMALIES, Evidence, check
from tests.chaos.checker.tables import Tables, read_tables
from tests.fakes.honest_run import RUN, HonestRun, make_honest_run
from tests.fakes.spoilt_run import Case, Spoil
from tests.fakes.wrong_books import WRONG_BOOKS
from tests.fakes.wrong_tellings import WRONG_TELLINGS

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class House:
    """The honest run's lines and rows, and the database that holds them."""

    run: HonestRun
    tables: Tables
    dsn: str


@pytest.fixture(scope="module")
async def house(
    postgres: SessionPostgres, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    name = "honest_run"
    dsn = asyncpg_url(postgres.create_database(name, template=template_database))
    settings = ServiceSettings(database_url=SecretStr(dsn), kafka_bootstrap_servers="not needed")
    async with open_engine(settings, "tests") as engine:
        run = await make_honest_run(engine, tmp_path_factory.mktemp("policies"))
    yield House(run, await read_tables(dsn, (RUN,), run.began), dsn)
    postgres.drop_database(name)


async def test_an_honest_run_is_found_sound(house: House, tmp_path: Path) -> None:
    house.run.write(tmp_path)
    verdict = await check(house.run.evidence(tmp_path, house.dsn))
    assert verdict.valid, verdict.why
    assert set(verdict.counts) == set(ANOMALIES)
    assert verdict.figures["households"] == {"judged": 14, "by_result_alone": 0, "not_judged": {}}
    assert verdict.figures["reds"] >= 7
    assert verdict.figures["info"] == 1
    assert (await check(Evidence.load(tmp_path, dsn=""))).counts == verdict.counts


@pytest.mark.parametrize("spoil", [*WRONG_BOOKS, *WRONG_TELLINGS], ids=lambda spoil: spoil.__name__)
async def test_what_is_wrong_is_convicted_and_nothing_else(house: House, tmp_path: Path, spoil: Spoil) -> None:
    case = Case(deepcopy(house.run), deepcopy(house.tables), tmp_path)
    proofs = spoil(case)
    verdict = await case.judged()
    assert verdict.proofs == proofs, verdict.why


async def test_a_digest_that_a_restored_backup_forgot_is_no_message_from_nowhere(house: House, tmp_path: Path) -> None:
    case = Case(deepcopy(house.run), deepcopy(house.tables), tmp_path)
    case.forget_a_digest()
    verdict = await case.judged()
    assert verdict.valid, verdict.why


async def test_a_run_is_judged_by_its_own_households_alone(house: House, tmp_path: Path) -> None:
    house.run.write(tmp_path)
    verdict = await check(house.run.evidence(tmp_path, house.dsn, run="T1s2"))
    assert verdict.valid, verdict.why
    assert (verdict.figures["sent"], verdict.figures["ledger"], verdict.figures["alerts"]) == (0, 0, 0)


async def test_kept_evidence_is_judged_again_by_the_command(house: House, tmp_path: Path) -> None:
    house.run.write(tmp_path)
    connection = await asyncpg.connect(house.dsn.replace("+asyncpg", ""), ssl=False)
    row = next(row for row in house.tables.ledger if row.type == "edu.cost")
    await connection.execute("DELETE FROM event_ledger WHERE identity = $1", row.identity)
    await connection.close()
    verdict = await check(house.run.evidence(tmp_path, house.dsn))
    assert verdict.proofs == {"lost": [row.event_id]}, verdict.why
    command = [sys.executable, "-m", "tests.chaos.checker", str(tmp_path)]
    judging = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await judging.communicate()
    assert judging.returncode == 1
    assert json.loads(said)["proofs"] == {"lost": [row.event_id]}
