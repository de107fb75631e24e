"""Changes to red as the scorer writes them: one for each kind of household is made by its handler, the others copied.

On the log they differ in household, village, and nothing else that anybody reads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiokafka import AIOKafkaProducer

from shared.bus.kafka import partition_of
from shared.bus.kafka.publisher import PRODUCER_SETTINGS
from shared.events.envelope import EventMessage, wire_type
from shared.events.household_event import SourceClass
from shared.grade_message import read_grade_change
from shared.grades import RiskGrade
from shared.topics import GRADE_CHANGES
from tests.bench.databases import Databases
from tests.bench.house.streams import GRAVE_YUAN
from tests.bench.load.households import (
    KEY,
    KINDS,
    Load,
    digits_of,
    division_of,
    enrolment,
    household_id,
)  # fmt: skip
from tests.bench.scoring.models import FIRST_MODEL, PLACE, fold_into

_CHANGES = "SELECT value FROM outbox WHERE topic = $1 AND key = $2 ORDER BY outbox_id"


@dataclass(frozen=True, slots=True)
class Red:
    """A change to red as it goes to the log."""

    household_id: str
    value: bytes


class NotRed(RuntimeError):
    """The illness of the models turned none of them red, so there is nothing to copy."""


async def reds(databases: Databases, schema: str, villages: Sequence[str], numbers: range) -> list[Red]:
    """A change to red for each household of these numbers, spread over the villages."""
    models = await _models(databases, schema)
    return list(_copies(models, villages, numbers))


async def _models(databases: Databases, schema: str) -> Sequence[tuple[int, bytes]]:
    """(number, change) of the households that a grave illness turned red. Raises NotRed."""
    load = Load(1, 0)
    numbers = range(FIRST_MODEL, FIRST_MODEL + KINDS)
    events = [event for number in numbers for event in (enrolment(number, load), _illness(number, load))]
    async with databases.copy_of(schema) as name:
        await fold_into(databases.dsn_of(name), PLACE, events)
        async with databases.connection(name) as connection:
            found = []
            for number in numbers:
                *_, last = await connection.fetch(_CHANGES, GRADE_CHANGES.name, household_id(number))
                if read_grade_change(last["value"]).new_grade is RiskGrade.RED:
                    found.append((number, last["value"]))
    if not found:
        raise NotRed(f"an illness of {GRAVE_YUAN} yuan turns none of {KINDS} kinds of households red")
    return found


def _illness(number: int, load: Load) -> EventMessage:
    at = load.now - timedelta(minutes=5)
    return EventMessage(
        specversion="1.0",
        id=f"grave-{digits_of(number)}",
        source="urn:bench:hospital",
        type=wire_type("health.major_illness"),
        subject=household_id(number),
        time=at,
        division=division_of(number),
        sourceclass=SourceClass.DEPARTMENT,
        data={"person": "p1", "self_pay_yuan": GRAVE_YUAN},
        recordedat=load.now,
        keyid=KEY,
    )


def _copies(models: Sequence[tuple[int, bytes]], villages: Sequence[str], numbers: range) -> Iterator[Red]:
    for number in numbers:
        model, value = models[number % len(models)]
        value = value.replace(digits_of(model).encode(), digits_of(number).encode())
        village = villages[number % len(villages)]
        yield Red(household_id(number), value.replace(division_of(model).encode(), village.encode()))


async def publish(bootstrap_servers: str, topic_prefix: str, changes: Sequence[Red]) -> None:
    """Put changes on the log as fast as it takes them, with the settings of the scorer's relay."""
    topic = topic_prefix + GRADE_CHANGES.name
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, **PRODUCER_SETTINGS) as producer:
        for change in changes:
            key = change.household_id.encode()
            await producer.send(
                topic, value=change.value, key=key, partition=partition_of(key, GRADE_CHANGES.partitions)
            )
        await producer.flush()
