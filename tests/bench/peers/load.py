"""The events of a run: made from a seed, put on the topic once, and what must come of them."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from shared.bus.kafka.publisher import PRODUCER_SETTINGS
from tests.bench.peers.toy import State, decode, fold

EVENTS, HOUSEHOLDS, SEED = 200_000, 20_000, 7
AT_ONCE = 2_000

_START = datetime(2026, 3, 1, tzinfo=UTC)
# (type, least and greatest amount in yuan; below 0 it is relief), and how many of 100 events are of it
_KINDS = (
    ("health.hospitalisation", 300, 2_500, 30),
    ("health.chronic_outpatient", 40, 300, 20),
    ("farm.crop_loss", 200, 2_000, 12),
    ("edu.cost", 300, 1_500, 8),
    ("relief.medical_reimbursement", -1_800, -150, 20),
    ("relief.temporary_assistance", -1_000, -200, 10),
)
_WEIGHTS = [weight for *_, weight in _KINDS]
_REMARKS = ("", "seen at the township clinic", "told by the neighbour, papers follow; the village office has a copy")

Alert = tuple[int, int, int]
"""(events counted so far, old grade, new grade)"""


@dataclass(frozen=True, slots=True)
class Expected:
    """What every entrant must have at the end, by household: its counters, and its alerts in their order."""

    counters: Mapping[str, State]
    alerts: Mapping[str, Sequence[Alert]]


def records(events: int, households: int, seed: int = SEED) -> Iterator[tuple[bytes, bytes]]:
    """Make (key, value) of each event, in the order of the log."""
    draw = Random(seed)
    for number in range(events):
        household_id = f"D1-{draw.randrange(households):05d}"
        yield household_id.encode(), _value(draw, number, household_id)


def expected(events: int, households: int, seed: int = SEED) -> Expected:
    """Work out what the events come to."""
    counters: dict[str, State] = {}
    alerts: dict[str, list[Alert]] = {}
    for _, value in records(events, households, seed):
        household_id, amount_fen = decode(value)
        counters[household_id], alert = fold(household_id, counters.get(household_id), amount_fen)
        if alert:
            alerts.setdefault(household_id, []).append((alert["events"], alert["old"], alert["new"]))
    return Expected(counters, alerts)


async def preload(bootstrap_servers: str, topic: str, events: int, households: int) -> dict[int, int]:
    """Put the events on the topic as ingest would (lz4, acks=all); how many stand on each partition."""
    on_partition: dict[int, int] = {}
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, linger_ms=20, **PRODUCER_SETTINGS) as producer:
        waiting: list[asyncio.Future[RecordMetadata]] = []
        for number, (key, value) in enumerate(records(events, households), start=1):
            waiting.append(await producer.send(topic, value=value, key=key))
            if len(waiting) == AT_ONCE or number == events:
                for receipt in await asyncio.gather(*waiting):
                    on_partition[receipt.partition] = on_partition.get(receipt.partition, 0) + 1
                waiting = []
    return on_partition


def _value(draw: Random, number: int, household_id: str) -> bytes:
    (kind, least, greatest, _) = draw.choices(_KINDS, _WEIGHTS)[0]
    at = _START + timedelta(seconds=number)
    event = {
        "specversion": "1.0",
        "id": f"{draw.getrandbits(64):016x}-{number}",
        "source": f"urn:app:village-notes-{draw.randrange(40)}",
        "type": f"cn.shouwang.{kind}.v1",
        "subject": household_id,
        "time": at.isoformat().replace("+00:00", "Z"),
        "division": f"9901011{draw.randrange(100, 120)}{draw.randrange(10, 99)}",
        "sourceclass": draw.choice(("department", "cadre", "grid", "survey")),
        "data": {
            "amount_fen": draw.randrange(least, greatest) * 100 + draw.randrange(100),
            "person": {"role": draw.choice(("head", "spouse", "child", "parent")), "age": draw.randrange(1, 95)},
            "remark": draw.choice(_REMARKS),
        },
        "recordedat": (at + timedelta(milliseconds=draw.randrange(9_000))).isoformat(timespec="milliseconds"),
        "keyid": f"sw{draw.getrandbits(48):012x}",
        "traceparent": f"00-{draw.getrandbits(128):032x}-{draw.getrandbits(64):016x}-01",
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
