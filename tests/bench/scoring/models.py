"""One household of each kind, as the real scorer has stored it: the models from which all others are made.

The scorer's handler folds the history of one household of each kind into an empty database, and its rows are read
back. What differs from household to household is its number, its village, the hashes over these, and its place on the
log; so the rows of any other household of the kind follow by putting its own in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.scorer.metrics import ScorerMetrics
from services.scorer.score_event import ScoreEvents
from services.scorer.store import ScorerStore
from services.scorer.wiring import CONSUMER_GROUP
from shared.bus.ports import PartitionBatch, Record, TopicPartition
from shared.clock import SettableClock
from shared.db.positions import Positions
from shared.db.session import open_engine
from shared.events.envelope import EventMessage
from shared.metrics import ServiceMetrics
from shared.policy import load_policies
from shared.settings import ServiceSettings, asyncpg_url
from shared.topics import HOUSEHOLD_EVENTS
from tests.bench.databases import Databases
from tests.bench.load.households import KINDS, household_id

History = Callable[[int], Sequence[EventMessage]]
"""The events of the household with a number, as they stand on the log, oldest first."""

# Their digits and their villages occur nowhere else in a row, so both can be found and replaced.
FIRST_MODEL = 77_310_000
PLACE = TopicPartition(HOUSEHOLD_EVENTS.name, 0)
_TABLES = """
    SELECT c.table_name FROM information_schema.columns AS c
    JOIN information_schema.tables AS t USING (table_schema, table_name)
    WHERE c.table_schema = 'public' AND c.column_name = 'household_id' AND t.table_type = 'BASE TABLE'
    ORDER BY c.table_name
"""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A row of a model. values: by column."""

    table: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Model:
    """One household of a kind: its number, its events, and the rows that the scorer has stored of it."""

    number: int
    events: Sequence[EventMessage]
    rows: Sequence[ModelRow]


async def make_models(databases: Databases, schema: str, history: History) -> Sequence[Model]:
    """Let the scorer fold one household of each kind, and read what it has stored."""
    numbers = range(FIRST_MODEL, FIRST_MODEL + KINDS)
    histories = {number: list(history(number)) for number in numbers}
    async with databases.copy_of(schema) as name:
        await fold_into(databases.dsn_of(name), PLACE, [event for events in histories.values() for event in events])
        async with databases.connection(name) as connection:
            rows = {number: await _rows_of(connection, household_id(number)) for number in numbers}
    return [Model(number, events, rows[number]) for number, events in histories.items()]


async def fold_into(dsn: str, partition: TopicPartition, events: Sequence[EventMessage], first_offset: int = 0) -> None:
    """Let the scorer's handler take events of one partition, as if the log held them from this offset on."""
    settings = ServiceSettings(database_url=SecretStr(asyncpg_url(dsn)), kafka_bootstrap_servers="not needed")
    clock = SettableClock(_just_after(events))
    async with open_engine(settings, "bench") as engine:
        handler = ScoreEvents(
            ScorerStore(engine, Positions(engine, CONSUMER_GROUP, "bench")),
            load_policies(),
            clock,
            ScorerMetrics(ServiceMetrics("scorer", CollectorRegistry())),
            partition_of=lambda _: partition.partition,
            midnight_grace_seconds=0,
            on_messages=lambda: None,
        )
        claim = await handler.claim(partition)
        records = [Record(first_offset + at, e.subject.encode(), e.to_bytes(), 0) for at, e in enumerate(events)]
        await handler.handle(PartitionBatch(partition, claim, records))


async def household_tables(connection: "asyncpg.Connection[Any]") -> list[str]:
    """The tables whose rows belong to households."""
    return [row["table_name"] for row in await connection.fetch(_TABLES)]


async def _rows_of(connection: "asyncpg.Connection[Any]", household_id: str) -> list[ModelRow]:
    return [
        ModelRow(table, dict(row))
        for table in await household_tables(connection)
        for row in await connection.fetch(f'SELECT * FROM "{table}" WHERE household_id = $1', household_id)
    ]


def _just_after(events: Sequence[EventMessage]) -> datetime:
    last = max(event.recordedat for event in events if event.recordedat is not None)
    return last + timedelta(seconds=1)
