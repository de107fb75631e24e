"""The lines of the whole machine at a tiny scale: real services, people and receivers, and everything is told."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.local.testing import SessionPostgres
from shared.grade_message import read_grade_change
from shared.grades import RiskGrade
from tests.bench.bench import Bench
from tests.bench.house.people import county_villages
from tests.bench.house.reds import reds
from tests.bench.line import Rounds
from tests.bench.lines import end_to_end, notifier
from tests.bench.progress import Progress
from tests.bench.settings import BenchSettings
from tests.bench.soak.run import Plan, soak

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


@pytest.fixture
async def bench(
    kafka: str, postgres: SessionPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    """A tiny quick run on the session's servers."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("DATABASE_URL", postgres.dsn)
    async with AsyncExitStack() as stack:
        settings = BenchSettings(quick=True, scale=0.001, directory=tmp_path)
        yield Bench(settings, frozenset(), Progress(), stack)


async def test_copied_changes_to_red_are_read_as_the_scorers_own(bench: Bench) -> None:
    platform = await bench.platform()
    villages = county_villages(50)
    made = await reds(platform.databases, platform.schema, villages, range(200))
    changes = [read_grade_change(one.value) for one in made]
    assert [one.household_id for one in changes] == [one.household_id for one in made]
    assert {one.new_grade for one in changes} == {RiskGrade.RED}
    assert [one.division for one in changes] == [villages[number % len(villages)] for number in range(200)]
    assert len({one.household_id for one in changes}) == len({one.alias for one in changes}) == 200


async def test_in_a_storm_every_red_household_is_named_in_a_message(bench: Bench) -> None:
    found = await notifier.storms(bench)
    seconds, size = found[notifier.STORM], found[notifier.ALERT_BYTES]
    assert isinstance(seconds, Rounds) and isinstance(size, Rounds)
    assert seconds.values[0] > 0 and size.values[0] > 0
    assert "messages in all" in seconds.remark


async def test_each_grave_event_among_ordinary_ones_has_its_receipt(bench: Bench) -> None:
    found = await end_to_end.receipts(bench)
    p50, p99 = found[end_to_end.RECEIPT_P50], found[end_to_end.RECEIPT_P99]
    assert 0 < p50.values[0] <= p99.values[0]
    assert "25 grave events" in p50.remark


async def test_a_short_soak_takes_and_grades_everything_and_tells_of_all_three_services(
    kafka: str, postgres: SessionPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("DATABASE_URL", postgres.dsn)
    soaked = await soak(Plan(minutes=0.2, rate=50, households=500), BenchSettings(directory=tmp_path))
    assert soaked.is_good
    assert soaked.tally.taken + soaked.tally.refused_on_purpose == 600
    assert [one.name for one in soaked.series] == [
        "memory of ingest",
        "memory of scorer",
        "memory of notifier",
        "events without a grade",
        "changes not with the notifier",
        "deliveries that wait",
    ]
    assert all(one.most > 20 for one in soaked.series[:3])
