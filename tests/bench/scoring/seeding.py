"""Fills a database with households as the scorer would have stored them, in a minute for a million.

Their events stand at negative offsets, the last one before the log's first record: so a scorer that starts on the
database finds its books in order and reads the log from its beginning.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, islice
from typing import Any

import asyncpg

from services.scorer.wiring import CONSUMER_GROUP
from shared.bus.kafka import partition_of
from shared.topics import HOUSEHOLD_EVENTS
from tests.bench.databases import Databases
from tests.bench.load.households import household_id, kind_of
from tests.bench.scoring.copying import Copier, Row, columns_of
from tests.bench.scoring.models import History, Model, make_models

AT_ONCE = 20_000
Told = Callable[[str], None]
_ADD_POSITION = """
    INSERT INTO partition_position (consumer_group, topic, partition, epoch, owner, next_offset, first_offset, applied)
    VALUES ($1, $2, $3, 1, 'bench', 0, $4, $5)
"""


async def seed(
    databases: Databases,
    name: str,
    schema: str,
    *,
    history: History,
    households: int,
    topic: str,
    tell: Told = lambda _: None,
) -> None:
    """Fill a migrated, empty database. topic: of the events, as the installation calls it."""
    models = await make_models(databases, schema, history)
    columns = columns_of(models)
    copiers = _copiers(models)
    homes = homes_of(households)
    applied = _events_of_partitions(copiers, homes)
    async with databases.connection(name) as connection:
        rows = _rows(copiers, homes, applied)
        for done in range(0, households, AT_ONCE):
            tell(f"storing households: {done:,} of {households:,}")
            await _store(connection, columns, islice(rows, AT_ONCE))
        await connection.executemany(
            _ADD_POSITION, [(CONSUMER_GROUP, topic, place, -count, count) for place, count in enumerate(applied)]
        )
        tell("vacuuming")
        await connection.execute("VACUUM (FREEZE, ANALYZE)")


def homes_of(households: int) -> bytes:
    """The partition of each household, by its number."""
    partitions = HOUSEHOLD_EVENTS.partitions
    return bytes(partition_of(household_id(number).encode(), partitions) for number in range(households))


def _copiers(models: Sequence[Model]) -> Sequence[Copier]:
    first_offsets = accumulate((len(model.events) for model in models), initial=0)
    return [Copier(model, first) for model, first in zip(models, first_offsets, strict=False)]


def _events_of_partitions(copiers: Sequence[Copier], homes: bytes) -> list[int]:
    counts = [0] * HOUSEHOLD_EVENTS.partitions
    for number, home in enumerate(homes):
        counts[home] += copiers[kind_of(number)].events
    return counts


def _rows(copiers: Sequence[Copier], homes: bytes, applied: Sequence[int]) -> Iterator[Sequence[tuple[str, Row]]]:
    """The rows of each household, in the order of their numbers."""
    offsets = [-count for count in applied]
    for number, home in enumerate(homes):
        copier = copiers[kind_of(number)]
        household = copier.household(number, home, offsets[home])
        offsets[home] += copier.events
        yield copier.rows(household)


async def _store(
    connection: "asyncpg.Connection[Any]",
    columns: Mapping[str, Sequence[str]],
    households: Iterator[Sequence[tuple[str, Row]]],
) -> None:
    tables: dict[str, list[Row]] = {table: [] for table in columns}
    for rows in households:
        for table, row in rows:
            tables[table].append(row)
    for table, found in tables.items():
        await connection.copy_records_to_table(table, records=found, columns=list(columns[table]))
