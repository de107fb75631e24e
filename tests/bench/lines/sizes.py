"""How much disk events and households take: what the sizing table of the README is worked out from."""

from collections.abc import Mapping

from shared.topics import HOUSEHOLD_EVENTS
from tests.bench.bench import Bench
from tests.bench.databases import Databases
from tests.bench.line import Line, Rounds
from tests.bench.lines.scorer_rate import HOUSEHOLDS, QUICK_HOUSEHOLDS, province
from tests.bench.load.events import messages
from tests.bench.load.households import Load
from tests.bench.measurement import Measurement
from tests.bench.scoring.rates import run_scorers
from tests.bench.scoring.topic import BATCH_BYTES, fill_topic

ON_LOG = 20_000
ALONE = 1
"""Bytes of a batch that holds one record only."""

LOG = Line(
    "size.log_bytes_per_event", "B",
    "one copy of an event on the log, each in a batch of its own as on a calm day; ceiling: the same events in batches"
    " of some 50, as under a surge",
    less_is_better=True,
)  # fmt: skip
EVENT = Line(
    "size.database_bytes_per_event", "B",
    "what the database grows by for each event that one scorer applies, tables and indexes, household states that are"
    " written anew included, but not the outbox, whose rows go again; ceiling: the record itself, key and value",
    less_is_better=True,
)  # fmt: skip
HOUSEHOLD = Line(
    "size.database_bytes_per_household", "B",
    "what the database holds of a household that has just been enrolled, tables and indexes", less_is_better=True,
)  # fmt: skip

_TABLES = """
    SELECT relname AS name, pg_total_relation_size(oid) AS bytes FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'outbox'
"""


async def on_the_log(bench: Bench) -> Mapping[Line, Rounds]:
    """Write the same events in two ways, and look at the broker's files."""
    platform = await bench.platform()
    load = Load(bench.scaled(HOUSEHOLDS, quick=QUICK_HOUSEHOLDS, least=200), bench.scaled(ON_LOG, least=200))

    async def measured(batch_bytes: int) -> float:
        prefix = await platform.topics()
        await fill_topic(platform.kafka, prefix, messages(load), bench.progress.step, batch_bytes=batch_bytes)
        return platform.bytes_on_log(prefix + HOUSEHOLD_EVENTS.name) / load.events

    return {LOG: await bench.alternate(lambda: measured(ALONE), lambda: measured(BATCH_BYTES))}


async def in_the_database(bench: Bench) -> Mapping[Line, Rounds]:
    """Let a scorer empty a log, and look at the tables before and after; the same in each round, so one will do."""
    world, platform = await province(bench), await bench.platform()
    households = bench.scaled(HOUSEHOLDS, quick=QUICK_HOUSEHOLDS, least=200)
    empty = await tables(platform.databases, platform.schema)
    before = await tables(platform.databases, world.template)
    after: dict[str, int] = {}

    async def look(database: str) -> None:
        after.update(await tables(platform.databases, database))

    await run_scorers(bench, world, then=look)
    load = Load(households, world.events, now=world.now)
    records = sum(len(one.subject) + len(one.to_bytes()) for one in messages(load))
    return {
        EVENT: Rounds(
            [sum(growth(before, after).values()) / world.events],
            [records / world.events],
            _shares(growth(before, after), world.events),
        ),
        HOUSEHOLD: Rounds(
            [sum(growth(empty, before).values()) / households], remark=_shares(growth(empty, before), households)
        ),
    }


async def tables(databases: Databases, name: str) -> dict[str, int]:
    """Bytes of each table of a database whose rows stay, with its indexes and long values."""
    async with databases.connection(name) as connection:
        return {row["name"]: row["bytes"] for row in await connection.fetch(_TABLES)}


def growth(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """By how much each table has grown, the one that grew most first; those that did not are left out."""
    grown = {name: size - before.get(name, 0) for name, size in after.items()}
    return {name: by for name, by in sorted(grown.items(), key=lambda one: -one[1]) if by > 0}


def _shares(grown: Mapping[str, int], count: int) -> str:
    return ", ".join(f"{name} {size / count:,.0f}" for name, size in grown.items() if size >= count)


MEASUREMENTS = [Measurement([LOG], on_the_log), Measurement([EVENT, HOUSEHOLD], in_the_database)]
