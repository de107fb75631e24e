"""The benchmark's households are stored as the scorer itself would have stored them."""

import pytest

from deploy.local.testing import SessionPostgres
from shared.bus.ports import TopicPartition
from shared.topics import HOUSEHOLD_EVENTS
from tests.bench.databases import Databases
from tests.bench.load.households import KINDS, Load, enrolment
from tests.bench.scoring.models import fold_into, household_tables
from tests.bench.scoring.seeding import homes_of, seed

pytestmark = pytest.mark.integration
HOUSEHOLDS = 3 * KINDS


async def stored(databases: Databases, name: str) -> dict[str, list[tuple[tuple[str, object], ...]]]:
    """All rows of households and the positions, but for the instants at which rows were written."""
    async with databases.connection(name) as connection:
        found = {}
        for table in [*await household_tables(connection), "partition_position"]:
            rows = [dict(row) for row in await connection.fetch(f'SELECT * FROM "{table}"')]
            for row in rows:
                row.pop("updated_at", None)
            found[table] = sorted(tuple(row.items()) for row in rows)
        return found


async def test_a_seeded_database_is_byte_for_byte_what_the_scorer_stores_of_the_same_events(
    postgres: SessionPostgres, template_database: str
) -> None:
    databases, load, topic = Databases(postgres.dsn), Load(HOUSEHOLDS, 1), f"x.{HOUSEHOLD_EVENTS.name}"
    homes = homes_of(HOUSEHOLDS)
    async with databases.copy_of(template_database) as seeded, databases.copy_of(template_database) as folded:
        await seed(
            databases,
            seeded,
            template_database,
            history=lambda number: [enrolment(number, load)],
            households=HOUSEHOLDS,
            topic=topic,
        )
        for partition in sorted(set(homes)):
            ours = [enrolment(number, load) for number, home in enumerate(homes) if home == partition]
            await fold_into(databases.dsn_of(folded), TopicPartition(topic, partition), ours, -len(ours))
        found, expected = await stored(databases, seeded), await stored(databases, folded)
    assert len(expected["household_state"]) == len(expected["event_ledger"]) == HOUSEHOLDS
    assert len(expected["grade_transition"]) >= HOUSEHOLDS
    assert found == expected
