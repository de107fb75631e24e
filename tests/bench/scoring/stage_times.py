"""Measures, in a process of its own, what each step of the scorer costs, and what the least for it would cost:

    python -m tests.bench.scoring.stage_times EVENTS RECORDING ANSWER

The environment is that of a scorer on a fresh copy of a world; BENCH_CEILING_URL names another copy. The log is read
first and kept, then its batches go through the real handler one after the other. RECORDING: what a scorer has told the
database of the same world. ANSWER gets {"ours": {stage: us for each event}, "ceilings": {...}} as JSON.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg
import uvloop
from prometheus_client import CollectorRegistry

from services.scorer.metrics import ScorerMetrics
from services.scorer.score_event import ScoreEvents
from services.scorer.settings import ScorerSettings
from services.scorer.store import ScorerStore
from services.scorer.wiring import CONSUMER_GROUP
from shared.bus.kafka import partition_of
from shared.bus.ports import Claim, PartitionBatch, Record, TopicPartition
from shared.clock import SystemClock
from shared.db.positions import Positions
from shared.db.session import open_engine
from shared.logs import configure_logs
from shared.metrics import ServiceMetrics
from shared.policy import load_policies
from shared.settings import load_settings
from shared.topics import HOUSEHOLD_EVENTS
from tests.bench.scoring.reading import Stopwatch, read_as_scorer, read_bare
from tests.bench.scoring.record_scorer import recorded
from tests.bench.scoring.replaying import ADVANCE, as_first_owner, tell
from tests.bench.scoring.stages import StageWatch, WatchedStore

Batches = list[tuple[TopicPartition, Sequence[Record]]]


async def ours(settings: ScorerSettings, batches: Batches) -> StageWatch:
    """Let the real handler take the batches, one after the other."""
    watch = StageWatch()
    async with open_engine(settings, "bench") as engine:
        handler = ScoreEvents(
            WatchedStore(ScorerStore(engine, Positions(engine, CONSUMER_GROUP, "bench")), watch),  # type: ignore[arg-type]
            load_policies(),
            SystemClock(),
            ScorerMetrics(ServiceMetrics("scorer", CollectorRegistry())),
            partition_of=lambda household_id: partition_of(household_id.encode(), HOUSEHOLD_EVENTS.partitions),
            midnight_grace_seconds=settings.midnight_grace_seconds,
            on_messages=lambda: None,
        )
        claims = {partition: await handler.claim(partition) for partition, _ in batches}
        watch.enter(None)
        for partition, records in batches:
            batch = PartitionBatch(partition, claims[partition], records)
            watch.enter("decode")
            await handler.handle(batch)
            watch.enter(None)
            claims[partition] = Claim(claims[partition].epoch, batch.next_offset)
    return watch


async def told_bare(recording: Path, dsn: str) -> StageWatch:
    """Tell what was recorded through the driver alone, one statement after the other."""
    watch = StageWatch()
    connection = await asyncpg.connect(dsn)
    for transaction in (as_first_owner(one, reads=True) for one in recorded(recording)):
        watch.enter("commit")
        async with connection.transaction():
            for one in transaction.statements:
                watch.enter("load" if one.reads else "commit" if ADVANCE in one.text else "write")
                await tell(connection, one)
            watch.enter("commit")
        watch.enter(None)
    await connection.close()
    return watch


async def measure(settings: ScorerSettings, events: int, recording: Path) -> Mapping[str, Mapping[str, float]]:
    """All stages, ours and the ceilings."""
    batches: Batches = []
    kafka, prefix = settings.kafka_bootstrap_servers, settings.kafka_topic_prefix
    fetched = await read_as_scorer(kafka, prefix, events, lambda *batch: batches.append(batch))
    bare = await read_bare(kafka, prefix, events)
    reading = Stopwatch()
    for _, records in batches:
        for record in records:
            json.loads(record.value or b"")
    loads = reading.spent()
    watch = await ours(settings, batches)
    least = await told_bare(recording, os.environ["BENCH_CEILING_URL"])
    ceilings = {stage: cost for stage, cost in least.cpu_us(events).items() if stage in ("load", "write", "commit")}
    a_million = 1e6 / events
    return {
        "ours": {**watch.cpu_us(events), "fetch": fetched.cpu_seconds * a_million},
        "ceilings": {**ceilings, "fetch": bare.cpu_seconds * a_million, "decode": loads.cpu_seconds * a_million},
    }


def main(events: int, recording: Path, answer: Path) -> None:
    """Measure and answer."""
    # As the service has it: each change of grade is a line of the log.
    configure_logs("scorer")
    answer.write_text(json.dumps(uvloop.run(measure(load_settings(ScorerSettings), events, recording))), "utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
