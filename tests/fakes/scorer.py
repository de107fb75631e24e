"""The scorer's handler on a real database and one partition, without a log: a test hands it the records."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from services.scorer.main import cli
from services.scorer.metrics import ScorerMetrics
from services.scorer.score_event import ScoreEvents
from services.scorer.store import ScorerStore
from services.scorer.wiring import CONSUMER_GROUP
from shared.bus.ports import Claim, PartitionBatch, Record, TopicPartition
from shared.clock import SettableClock
from shared.db.positions import Positions
from shared.events.envelope import EventMessage
from shared.metrics import ServiceMetrics
from shared.policy import Policies, load_policies
from shared.topics import HOUSEHOLD_EVENTS

MARCH_2 = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
PARTITION = TopicPartition(HOUSEHOLD_EVENTS.name, 3)


class ScorerUnderTest:
    """One owner of PARTITION. Households are at home there unless `partition_of` says otherwise."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        clock: SettableClock | None = None,
        policies: Policies | None = None,
        partition_of: Callable[[str], int] = lambda _: PARTITION.partition,
    ) -> None:
        self.registry = CollectorRegistry()
        self.clock = clock or SettableClock(MARCH_2)
        self.policies = policies or load_policies()
        self.store = ScorerStore(engine, Positions(engine, CONSUMER_GROUP, "test"))
        self.handler = ScoreEvents(
            self.store,
            self.policies,
            self.clock,
            ScorerMetrics(ServiceMetrics("scorer", self.registry)),
            partition_of=partition_of,
            midnight_grace_seconds=0,
            on_messages=lambda: None,
        )

    async def take(self, *records: EventMessage | bytes | Record) -> Claim:
        """Claim the partition and hand over one batch; the claim that a next batch would have.

        An event goes under its household's key; a record says itself which key it has, its offset does not matter.
        """
        claim = await self.handler.claim(PARTITION)
        first = claim.next_offset or 0
        batch = PartitionBatch(PARTITION, claim, [_record(first + at, one) for at, one in enumerate(records)])
        await self.handler.handle(batch)
        return Claim(claim.epoch, batch.next_offset)

    async def use_idle_time(self) -> None:
        """Do all that is due, as the loop does once nothing is left to read."""
        claim = await self.handler.claim(PARTITION)
        while await self.handler.caught_up(PARTITION, claim):
            pass

    def count(self, name: str, **labels: str) -> float:
        """Return a metric's present value; -1 if it does not exist."""
        value = self.registry.get_sample_value(f"shouwang_scorer_{name}", labels)
        return -1 if value is None else value


def _record(offset: int, given: EventMessage | bytes | Record) -> Record:
    match given:
        case EventMessage():
            return Record(offset, given.subject.encode(), given.to_bytes(), 0)
        case bytes():
            return Record(offset, b"H1", given, 0)
        case Record():
            return Record(offset, given.key, given.value, 0)


async def scorer_command(database_url: str, *arguments: str) -> Result:
    """Run `shouwang-scorer` with these arguments on a database."""
    return await asyncio.to_thread(run_scorer, database_url, arguments)


def run_scorer(database_url: str, arguments: Sequence[str]) -> Result:
    """The same, for a thread of its own: the command has an event loop of its own."""
    environment = {"DATABASE_URL": database_url, "KAFKA_TOPIC_PREFIX": ""}
    return CliRunner().invoke(cli, list(arguments), env=environment, catch_exceptions=False)
