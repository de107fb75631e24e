"""The scorer's lines measure what they say: the right rows are written, by the scorer and by its ceiling."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.local.testing import SessionPostgres
from services.scorer.store import ScorerStore
from services.scorer.verify import refold
from services.scorer.wiring import CONSUMER_GROUP
from shared.db.positions import Positions
from shared.db.session import open_engine
from shared.policy import load_policies
from shared.settings import ServiceSettings
from tests.bench.bench import Bench
from tests.bench.line import Line, Rounds
from tests.bench.lines.scorer_rate import CPU, CPU_TWO, MEMORY, RATE, SPEEDUP, province, rates
from tests.bench.lines.scorer_stages import LINES as STAGE_LINES
from tests.bench.lines.scorer_stages import stages
from tests.bench.platform import BenchPlatform
from tests.bench.progress import Progress
from tests.bench.scoring.ceilings import recorder_argv, replay
from tests.bench.scoring.rates import run_scorers
from tests.bench.scoring.replaying import ADVANCE
from tests.bench.settings import BenchSettings
from tests.services import rows

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
TINY = 0.002
WRITTEN = ("household_state", "event_ledger", "grade_transition", "quarantine", "clue", "data_finding")


@pytest.fixture
async def bench(
    kafka: str, postgres: SessionPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    """A tiny quick run on the session's servers."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("DATABASE_URL", postgres.dsn)
    names = frozenset({RATE.name, *(line.name for line in STAGE_LINES.values())})
    async with AsyncExitStack() as stack:
        yield Bench(BenchSettings(quick=True, scale=TINY, directory=tmp_path), names, Progress(), stack)


async def test_a_tiny_run_of_the_rate_leaves_every_household_as_its_ledger_says(bench: Bench) -> None:
    found = await rates(bench)
    assert all(figures(found, line).values[0] > 0 for line in (RATE, CPU, MEMORY))
    assert figures(found, RATE).ceilings[0] > 0
    assert not figures(found, SPEEDUP).values and not figures(found, CPU_TWO).values

    world, platform = await province(bench), await bench.platform()

    async def refolded(database: str) -> None:
        async with engine_of(platform, database) as engine:
            households = [row.household_id for row in await rows(engine, "SELECT household_id FROM household_state")]
            store = ScorerStore(engine, Positions(engine, CONSUMER_GROUP, "test"))
            assert len(households) == bench.scaled(200_000)
            assert await refold(store, households, load_policies()) == []
            positions = await rows(
                engine, "SELECT sum(applied), sum(repeated), sum(quarantined) FROM partition_position"
            )
            applied, repeated, quarantined = map(int, positions[0])
            assert (applied + repeated - len(households), quarantined) == (world.events, 0)
            assert repeated > 0
            corrections = await rows(engine, "SELECT 1 FROM event_ledger WHERE type = 'event.corrected'")
            assert corrections

    await run_scorers(bench, world, then=refolded)


async def test_the_ceiling_writes_the_very_rows_that_the_scorer_wrote(bench: Bench) -> None:
    world, platform, tables = await province(bench), await bench.platform(), []

    async def keep(database: str) -> None:
        async with engine_of(platform, database) as engine:
            tables.append({table: await written(engine, table) for table in WRITTEN})
            tables[-1]["position"] = await rows(
                engine, "SELECT partition, next_offset, applied, repeated FROM partition_position ORDER BY partition"
            )

    recording = platform.scratch / "recording"
    await run_scorers(bench, world, argv=recorder_argv(recording, ADVANCE), then=keep)
    await replay(bench, world, recording, then=keep)
    scorer, ceiling = tables
    assert len(scorer["event_ledger"]) > bench.scaled(200_000)
    assert ceiling == scorer


async def test_every_step_of_the_scorer_has_its_share_of_the_processor_time(bench: Bench) -> None:
    found = await stages(bench)
    assert {name: figures(found, line).values[0] > 0 for name, line in STAGE_LINES.items()} == dict.fromkeys(
        STAGE_LINES, True
    )
    assert {name for name, line in STAGE_LINES.items() if figures(found, line).ceilings} == {
        "fetch", "decode", "load", "write", "commit",
    }  # fmt: skip


def figures(found: Mapping[Line, Rounds | Exception], line: Line) -> Rounds:
    rounds = found[line]
    assert isinstance(rounds, Rounds), rounds
    return rounds


async def written(engine: AsyncEngine, table: str) -> list[Any]:
    """All rows as text, without what the database fills in by itself."""
    by_itself = "'updated_at' - 'quarantine_id' - 'quarantined_at'"
    found = await rows(engine, f"SELECT (to_jsonb(t) - {by_itself})::text AS row FROM {table} AS t ORDER BY 1")
    return [one.row for one in found]


def engine_of(platform: BenchPlatform, database: str) -> Any:
    url = SecretStr(platform.databases.dsn_of(database))
    return open_engine(ServiceSettings(database_url=url, kafka_bootstrap_servers="not needed"), "tests")
