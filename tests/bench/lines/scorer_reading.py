"""How fast the log can be read, and read and decoded: the least that stands before every event."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from services.scorer.read_record import ReceivedEvent, read_record
from shared.bus.ports import Record, TopicPartition
from tests.bench.bench import Bench
from tests.bench.line import Line, Rounds
from tests.bench.lines.scorer_rate import province
from tests.bench.measurement import Measurement
from tests.bench.scoring.reading import read_as_scorer, read_bare

FETCH = Line(
    "scorer.fetch_only_per_second", "events/s",
    "read the log as the scorer's loop does, and nothing more; ceiling: aiokafka alone with the same settings",
)  # fmt: skip
DECODE = Line(
    "scorer.fetch_and_decode_per_second", "events/s",
    "the same, and each record decoded and checked; ceiling: each record by json.loads instead",
)  # fmt: skip


async def fetch(bench: Bench) -> Mapping[Line, Rounds]:
    """Read the log to its end."""
    platform, place = await bench.platform(), await province(bench)

    async def ours() -> float:
        return place.events / (await read_as_scorer(platform.kafka, place.topic_prefix, place.events, _nothing)).seconds

    async def ceiling() -> float:
        return place.events / (await read_bare(platform.kafka, place.topic_prefix, place.events)).seconds

    return {FETCH: await bench.alternate(ours, ceiling)}


async def fetch_and_decode(bench: Bench) -> Mapping[Line, Rounds]:
    """Read the log to its end, and decode each record."""
    platform, place = await bench.platform(), await province(bench)
    now = place.now + timedelta(hours=1)

    async def measured(decode: Callable[[Record], object]) -> float:
        def take(_: TopicPartition, records: Sequence[Record]) -> None:
            for record in records:
                decode(record)

        return place.events / (await read_as_scorer(platform.kafka, place.topic_prefix, place.events, take)).seconds

    def strictly(record: Record) -> None:
        if not isinstance(read_record(record, now), ReceivedEvent):
            raise RuntimeError(f"the record at {record.offset} was refused")

    return {
        DECODE: await bench.alternate(
            lambda: measured(strictly), lambda: measured(lambda record: json.loads(record.value or b""))
        )
    }


def _nothing(_partition: TopicPartition, _records: Sequence[Record]) -> None: ...


MEASUREMENTS = [Measurement([FETCH], fetch), Measurement([DECODE], fetch_and_decode)]
