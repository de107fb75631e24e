"""The ceiling of a batch: records put on the log by the producer alone.

`python -m tests.bench.edge.bare_producer RECORDS ANSWER SECONDS LANES BATCH`: as many lanes as ingest is sent batches
at once; each hands a batch of records over and waits until all of it is acknowledged, over and over. RECORDS: lines of
key and record, with a tab between. ANSWER: the records a second are written there.
"""

import asyncio
import itertools
import os
import sys
import time
from pathlib import Path

import uvloop
from aiokafka import AIOKafkaProducer

from shared.bus.kafka.publisher import PRODUCER_SETTINGS
from shared.topics import HOUSEHOLD_EVENTS

WARM_UP_SECONDS = 1.0
Batch = list[tuple[bytes, bytes]]


async def measure(batches: list[Batch], seconds: float, lanes: int) -> float:
    """Records a second."""
    producer = AIOKafkaProducer(bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], **PRODUCER_SETTINGS)
    topic = os.environ["KAFKA_TOPIC_PREFIX"] + HOUSEHOLD_EVENTS.name
    await producer.start()
    turn, written, ending = itertools.cycle(batches), 0, False

    async def lane() -> None:
        nonlocal written
        while not ending:
            batch = next(turn)
            for record in [await producer.send(topic, value=value, key=key) for key, value in batch]:
                await record
            written += len(batch)

    running = [asyncio.create_task(lane()) for _ in range(lanes)]
    await asyncio.sleep(WARM_UP_SECONDS)
    began, before = time.perf_counter(), written
    await asyncio.sleep(seconds)
    rate = (written - before) / (time.perf_counter() - began)
    ending = True
    await asyncio.gather(*running)
    await producer.stop()
    return rate


def main() -> None:
    """Read, measure, write."""
    records, answer, seconds, lanes, size = sys.argv[1:]
    pairs = [line.split(b"\t", 1) for line in Path(records).read_bytes().splitlines()]
    all_records = [(key, value) for key, value in pairs]
    batches = [all_records[at : at + int(size)] for at in range(0, len(all_records), int(size))]
    rate = uvloop.run(measure(batches, float(seconds), int(lanes)))
    Path(answer).write_text(str(rate), encoding="utf-8")


if __name__ == "__main__":
    main()
