"""What the faults of input share: events of their own, records put on the log past ingest, and what became of them."""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

from shared.clock import SHANGHAI, to_rfc3339
from tests.chaos.faults.watch import comes_true
from tests.chaos.field_app import FieldEvent, Kind
from tests.chaos.world import World

EVENTS_TOPIC = "household.events.v1"
SETTLED_SECONDS = 30.0
Expect = Literal["ledger", "quarantine", "nothing"]
Place = tuple[int, int]
"""(partition, offset)"""


def illness(world: World, household: str, yuan: str, *, kind: Kind = Kind.NORMAL, **attributes: Any) -> FieldEvent:
    """A stay in hospital with this much to pay oneself."""
    data = {"person": "p1", "self_pay_yuan": yuan}
    return world.load.make("health.hospitalisation", data, household, kind=kind, **attributes)


def some_homes(world: World, rng: Random, count: int) -> list[str]:
    """Households of the load, drawn without repeats."""
    return rng.sample(list(world.load.households), count)


def at(instant: datetime) -> str:
    """Write an instant as field apps do, with China's offset."""
    return instant.astimezone(SHANGHAI).isoformat(timespec="seconds")


def days_ago(days: float) -> str:
    """The instant so many days before now."""
    return at(datetime.now(UTC) - timedelta(days=days))


def as_received(event: FieldEvent, recorded_at: datetime | None = None, **attributes: Any) -> bytes:
    """An event's record as ingest writes it; an attribute given as ... is left out."""
    recorded = to_rfc3339(recorded_at or datetime.now(UTC))
    document = json.loads(event.body) | {"recordedat": recorded, "keyid": "swchaos"} | attributes
    return json.dumps({name: value for name, value in document.items() if value is not ...}).encode()


async def put(
    world: World, key: bytes | None, value: bytes | None, expect: Expect, headers: Sequence[tuple[str, bytes]] = ()
) -> Place:
    """Put a record on the log past ingest, and tell the judge where it must end."""
    partition, offset = await world.produce(EVENTS_TOPIC, key, value, headers=headers)
    body = {"body": (value or b"").decode()} if expect == "ledger" else {}
    world.note("raw record", partition=partition, offset=offset, expect=expect, **body)
    return partition, offset


async def in_ledger(world: World, ids: Collection[str]) -> int:
    """Count the events with these ids in the ledger."""
    rows = await world.sql(
        "SELECT count(*) AS found FROM event_ledger WHERE event_id = ANY(CAST(:ids AS text[]))", ids=list(ids)
    )
    return int(rows[0].found)


async def in_quarantine(world: World, places: Collection[Place]) -> int:
    """Count the records of these places in the quarantine."""
    rows = await world.sql(
        """
        SELECT count(*) AS found FROM quarantine q
        JOIN unnest(CAST(:partitions AS int[]), CAST(:offsets AS bigint[])) AS p (partition, "offset")
          ON q.topic_partition = p.partition AND q.topic_offset = p."offset"
        WHERE q.topic LIKE '%' || :topic
        """,
        partitions=[partition for partition, _ in places],
        offsets=[offset for _, offset in places],
        topic=EVENTS_TOPIC,
    )
    return int(rows[0].found)


async def reach_ledger(world: World, ids: Collection[str], within_seconds: float = SETTLED_SECONDS) -> int:
    """Wait until all events with these ids are in the ledger, or the time is up; how many are."""

    async def all_there() -> bool:
        return await in_ledger(world, ids) == len(ids)

    await comes_true(all_there, within_seconds)
    return await in_ledger(world, ids)
