"""A chaos run in small, as it is when nothing is wrong: what was sent, what the services made of it, what people got.

The scorer's and the notifier's own code writes the tables; log, clients and people's devices are played by this file.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notifier.channels.ports import Address
from services.notifier.core.message import Message
from services.notifier.core.retries import Attempt
from services.scorer.metrics import ScorerMetrics
from services.scorer.score_event import ScoreEvents
from services.scorer.store import ScorerStore
from shared.alerts import ChannelName
from shared.bus.ports import PartitionBatch, Record, TopicPartition
from shared.clock import SettableClock, day_of
from shared.db.positions import Positions
from shared.db.session import transaction
from shared.events.envelope import read_event
from shared.metrics import ServiceMetrics
from shared.policy import Role, load_policies
from shared.topics import GRADE_CHANGES, HOUSEHOLD_EVENTS
from tests.chaos.checker import POSITION_LOG_DDL, Evidence
from tests.chaos.field_app import FieldEvent, Kind
from tests.chaos.maker import EventMaker, can_be_spoken_about
from tests.chaos.people import CHAOS_DIVISIONS, CHAOS_STAFF
from tests.fakes.notifier import Parts, deliver_all, make_person, nobody_waits

RUN = "T1s1"
HOMES = 14
PARTITION = TopicPartition(HOUSEHOLD_EVENTS.name, 3)
BEGAN = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
CLOCK = SettableClock(BEGAN + timedelta(minutes=1))
STEP_SECONDS = 0.01
BATCH = 25
Line = dict[str, Any]


@dataclass
class HonestRun:
    """Journals as lines; began: unix seconds; fault: the window in which ingest once answered 503."""

    began: float
    client: list[Line] = field(default_factory=list)
    events: list[Line] = field(default_factory=list)
    devices: list[Line] = field(default_factory=list)
    nemesis: list[Line] = field(default_factory=list)
    log: list[Record] = field(default_factory=list)

    @property
    def fault(self) -> tuple[float, float]:
        """A short fault soon after the beginning."""
        return (self.began + 0.20, self.began + 0.30)

    @property
    def ended(self) -> float:
        """When the last event had been sent."""
        return self.began + STEP_SECONDS * len(self.client)

    def send(self, event: FieldEvent) -> None:
        """Play client, ingest and log for one event; the 12th finds ingest busy once."""
        facts: Line = {"run": RUN, **event.facts, "intended": self.ended}
        if not any(line["body_sha"] == event.body_sha and line["id"] == event.id for line in self.events):
            self.events.append({"at": self.ended, "run": RUN, **event.facts, "body": event.body.decode()})
        if len(self.log) == 12:
            self._line("invoke", facts)
            self._line("info", facts, status=503, problem="log-unavailable")
        self._line("invoke", facts)
        if event.kind is Kind.INVALID:
            self._line("fail", facts, status=422, problem="invalid-event")
            return
        offset = self.append(event.household, self.received(event))
        self._line("ok", facts, status=202, partition=PARTITION.partition, offset=offset)

    def append(self, key: str, value: bytes) -> int:
        """Put a record on the log; its offset."""
        self.log.append(Record(len(self.log), key.encode(), value, 0))
        return len(self.log) - 1

    def received(self, event: FieldEvent) -> bytes:
        """An event's record, as ingest writes it."""
        at = datetime.fromtimestamp(self.ended, UTC)
        return (
            read_event(event.body).received(at.replace(microsecond=at.microsecond // 1000 * 1000), "swtest").to_bytes()
        )

    def write(self, directory: Path) -> None:
        """Write the journals."""
        for name in ("client", "events", "devices", "nemesis"):
            lines = getattr(self, name)
            (directory / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def evidence(self, directory: Path, dsn: str = "", **changes: Any) -> Evidence:
        """What a runner would hand to the judge."""
        values: dict[str, Any] = {"run": RUN, "windows": (self.fault,), "grace_seconds": 0.0}
        return Evidence(directory, dsn, **(values | changes))

    def _line(self, op: str, facts: Line, **answer: Any) -> None:
        latency = None if op == "invoke" else self.ended - facts["intended"]
        unknown: Line = {"status": None, "offset": None, "partition": None, "problem": None}
        line = {"at": self.ended, "op": op, **facts, "latency": latency, "attempt": 1, **unknown, **answer}
        self.client.append(line)


class Person:
    """A channel whose receivers take every message and write it down."""

    def __init__(self, name: ChannelName, run: HonestRun) -> None:
        self.name = name
        self._run = run

    async def send(self, address: Address, message: Message, message_id: str) -> Attempt:
        """Take a message."""
        body = json.loads(message.body)
        line = {"at": self._run.ended + 0.5, "channel": str(self.name), "staff": address.staff_id}
        told = {"alert_id": body["alert_id"], "household": body["household_id"], "message_id": message_id}
        self._run.devices.append({**line, **told, "outcome": "taken", "mode": "ok", "detail": ""})
        return Attempt("sent", receipt="taken")

    async def close(self) -> None:
        """Nothing to let go of."""


async def make_honest_run(engine: AsyncEngine) -> HonestRun:
    """Live through a run on a migrated, empty database."""
    async with transaction(engine) as connection:
        for statement in POSITION_LOG_DDL:
            await connection.execute(text(statement))
    run = HonestRun(BEGAN.timestamp())
    for event in _events():
        run.send(event)
    run.nemesis.append(
        {"at": run.ended, "kind": "raw record", "partition": 3, "offset": len(run.log), "expect": "quarantine"}
    )
    run.append("poison", b"\x00\xff")
    await _score(engine, run)
    await _tell(engine, run)
    return run


def _events() -> Iterator[FieldEvent]:
    """Enrolments, a bit of everything for each household, a grave illness for every second one."""
    maker = EventMaker(RUN, 7, day_of(BEGAN))
    homes = [maker.home(number) for number in range(HOMES)]
    for home in homes[1:]:
        yield maker.enrolment(home, 0.0)
    for number, home in enumerate(homes):
        small = maker.event(maker.document(home, "edu.cost", {"self_pay_yuan": f"{100 + number}.10"}), Kind.NORMAL, 0.0)
        yield small
        yield from maker.swapped(home, 0.0)
        yield maker.late(home, 0.0)
        if number % 2:
            yield maker.serious(home, 0.0)
        yield maker.repeat(small, 0.0)
        if can_be_spoken_about(small):
            yield maker.about(small, home, Kind.NORMAL, 0.0)
        yield maker.invalid(home, 0.0)
    yield maker.conflict(small, homes[-1], 0.0)
    # The first household's register entry comes last: all it went through had to wait for it.
    yield maker.enrolment(homes[0], 0.0)


async def _score(engine: AsyncEngine, run: HonestRun) -> None:
    """Let two scorers apply the log, one after the other."""
    half = len(run.log) // 2
    for owner, records in (("scorer-1", run.log[:half]), ("scorer-2", run.log[half:])):
        handler = ScoreEvents(
            ScorerStore(engine, Positions(engine, "shouwang-scorer", owner)),
            load_policies(),
            CLOCK,
            ScorerMetrics(ServiceMetrics("scorer", CollectorRegistry())),
            partition_of=lambda _: PARTITION.partition,
            midnight_grace_seconds=0.0,
            on_messages=lambda: None,
        )
        for start in range(0, len(records), BATCH):
            claim = await handler.claim(PARTITION)
            await handler.handle(PartitionBatch(PARTITION, claim, records[start : start + BATCH]))


async def _tell(engine: AsyncEngine, run: HonestRun) -> None:
    """Let the notifier take the changes of grade from the outbox, and people take what it sends."""
    parts = Parts(engine, CLOCK, policies=nobody_waits())
    await parts.directory.save_divisions({one.code: one.name for one in CHAOS_DIVISIONS})
    hook = "http://127.0.0.1:1/hook"
    elsewhere = make_person("elsewhere", "cadre", "990101102201")
    staff = [make_person(one.staff_id, cast(Role, one.role), one.division, webhook_url=hook) for one in CHAOS_STAFF]
    await parts.directory.save_staff([*staff, elsewhere])
    async with transaction(engine) as connection:
        rows = await connection.execute(text("DELETE FROM outbox RETURNING outbox_id, topic, key, value"))
        messages = sorted((row for row in rows if row.topic == GRADE_CHANGES.name), key=lambda row: row.outbox_id)
    topic = TopicPartition(GRADE_CHANGES.name, 0)
    claim = await parts.handler.claim(topic)
    records = [Record(at, row.key.encode(), bytes(row.value), 0) for at, row in enumerate(messages)]
    await parts.handler.handle(PartitionBatch(topic, claim, records))
    for channel in ChannelName:
        await deliver_all(parts.lane(Person(channel, run)))
