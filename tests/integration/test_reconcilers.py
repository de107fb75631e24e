"""A leak of one event, one state or one alert shows on a gauge; honest books show nothing."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.recent_receipts import RecentReceipt, RecentReceipts
from services.ingest.reconcile_receipts import ReceiptMetrics, ReconcileReceipts
from services.ingest.store import TraceStore
from services.notifier.reconcile import Reconcile as NotifierReconcile
from services.notifier.reconcile import ReconcileMetrics as NotifierMetrics
from services.notifier.store.reconciling import Reconciling
from services.scorer.metrics import ScorerMetrics
from services.scorer.reconcile import Reconcile, ReconcileMetrics
from services.scorer.score_event import ScoreEvents
from services.scorer.store import ScorerStore, ScorerTransaction
from shared.bus.ports import Claim, PartitionBatch, Receipt, Record, TopicPartition
from shared.clock import SettableClock
from shared.db.books import snapshot
from shared.db.positions import Positions
from shared.db.session import transaction
from shared.events.envelope import EventMessage
from shared.metrics import ServiceMetrics
from shared.policy import load_policies
from shared.topics import HOUSEHOLD_EVENTS
from tests.messages import enrolment, make_message

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
GROUP = "shouwang-scorer"
PARTITION = TopicPartition(HOUSEHOLD_EVENTS.name, 3)


class Scoring:
    """The scorer's handler and its reconciler on one partition, without a log."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.registry = CollectorRegistry()
        metrics = ServiceMetrics("scorer", self.registry)
        store = ScorerStore(engine, Positions(engine, GROUP, "test"))
        self.handler = ScoreEvents(
            store,
            load_policies(None),
            SettableClock(NOW),
            ScorerMetrics(metrics),
            partition_of=lambda _: PARTITION.partition,
            midnight_grace_seconds=0,
            on_messages=lambda: None,
        )
        self.end = 0
        self.wrong: set[str] = set()
        self.reconciler = Reconcile(
            lambda: snapshot(engine),
            self._ends,
            self._refold,
            ReconcileMetrics(metrics),
            consumer_group=GROUP,
            topic=PARTITION.topic,
            every_seconds=1,
        )

    async def _ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, self.end)

    async def _refold(self, household_ids: Sequence[str]) -> Collection[str]:
        return self.wrong & set(household_ids)

    async def take(self, *messages: EventMessage, values: Sequence[bytes] = ()) -> None:
        claim = await self.handler.claim(PARTITION)
        first = self.end
        found = [(message.subject.encode(), message.to_bytes()) for message in messages]
        records = [Record(first + n, *one, 0) for n, one in enumerate([*found, *((b"k", value) for value in values)])]
        self.end += len(records)
        await self.handler.handle(PartitionBatch(PARTITION, Claim(claim.epoch, claim.next_offset), records))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"shouwang_scorer_{name}", labels)


def costs(count: int) -> list[EventMessage]:
    return [make_message("health.hospitalisation", "H1", {"self_pay_yuan": 100 + n}, at=NOW) for n in range(count)]


async def test_honest_books_balance_with_repeats_and_quarantine_among_them(engine: AsyncEngine) -> None:
    scoring = Scoring(engine)
    await scoring.take(enrolment("H1", at=NOW))
    await scoring.reconciler.reconcile()
    made = costs(5)
    await scoring.take(*made, made[0], made[3], values=[b"not an event"])
    scoring.end += 2
    await scoring.reconciler.reconcile()
    fates = ("accepted", "applied", "repeated", "quarantined", "in_flight")
    assert [scoring.value("reconciled_records", fate=fate) for fate in fates] == [11, 6, 2, 1, 2]
    assert (scoring.value("lost_records"), scoring.value("doubled_records")) == (0, 0)
    assert scoring.value("mismatched_households") == 0


async def test_one_event_that_leaves_no_row_shows_at_the_next_look(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = Scoring(engine)
    await scoring.take(enrolment("H1", at=NOW))
    await scoring.reconciler.reconcile()
    honest = ScorerTransaction.add_ledger

    async def leaking(self: ScorerTransaction, rows: Sequence[Any]) -> None:
        await honest(self, rows[1:])

    monkeypatch.setattr(ScorerTransaction, "add_ledger", leaking)
    await scoring.take(*costs(3))
    await scoring.reconciler.reconcile()
    assert (scoring.value("lost_records"), scoring.value("doubled_records")) == (1, 0)
    await scoring.reconciler.reconcile()
    assert scoring.value("lost_records") == 1, "a loss stays until somebody has looked"


async def test_a_state_that_is_not_its_ledger_shows_until_it_is_mended(engine: AsyncEngine) -> None:
    scoring = Scoring(engine)
    await scoring.take(enrolment("H1", at=NOW), enrolment("H2", at=NOW))
    scoring.wrong = {"H2"}
    await scoring.reconciler.reconcile()
    assert scoring.value("mismatched_households") == 1
    scoring.wrong = set()
    await scoring.reconciler.reconcile()
    assert scoring.value("mismatched_households") == 0


async def test_a_change_to_red_without_an_alert_shows_once_it_is_overdue(engine: AsyncEngine) -> None:
    scoring, clock, registry = Scoring(engine), SettableClock(NOW), CollectorRegistry()
    await scoring.take(
        enrolment("H1", at=NOW), make_message("health.major_illness", "H1", {"self_pay_yuan": 60_000}, at=NOW)
    )
    metrics = NotifierMetrics(ServiceMetrics("notifier", registry))
    reconciler = NotifierReconcile(Reconciling(engine), clock, metrics, every_seconds=1)

    async def untold_at(later: timedelta) -> float | None:
        clock.move(NOW + later - clock.now())
        await reconciler.reconcile()
        return registry.get_sample_value("shouwang_notifier_untold_changes")

    assert await untold_at(timedelta(seconds=10)) == 0
    assert await untold_at(timedelta(seconds=30)) == 1
    async with transaction(engine) as connection:
        await connection.execute(
            text(
                "INSERT INTO alert (alert_id, household_id, household_version, division, grade, status, revision,"
                " change, plan, causes_told, opened_at, updated_at)"
                " SELECT 'a', household_id, version, '990101101201', 4, 'open', 1, '{}', '[]', '{}', :now, :now"
                " FROM grade_change_history WHERE new_grade = 4"
            ),
            {"now": NOW},
        )
    assert await untold_at(timedelta(seconds=40)) == 0
    assert registry.get_sample_value("shouwang_notifier_alerts_without_receipt") == 1


async def test_a_receipt_of_an_event_that_left_no_trace_shows(engine: AsyncEngine) -> None:
    scoring, receipts, registry = Scoring(engine), RecentReceipts(100), CollectorRegistry()
    await scoring.take(enrolment("H1", at=NOW))
    known = costs(1)[0]
    await scoring.take(known, values=[b"not an event"])

    def given(event_id: str, source: str, offset: int) -> None:
        receipts.remember("key", event_id, source, RecentReceipt(Receipt(PARTITION.partition, offset), "H1", "x"))

    given(known.id, known.source, 1)
    given("in-quarantine", "urn:x", 2)
    given("not-reached-yet", "urn:x", 3)
    metrics = ReceiptMetrics(ServiceMetrics("ingest", registry))
    reconciler = ReconcileReceipts(receipts, TraceStore(engine, PARTITION.topic), metrics, every_seconds=0.01)

    async def lost() -> float | None:
        before = registry.get_sample_value("shouwang_ingest_receipts_checked_total") or 0
        stop = asyncio.Event()
        running = asyncio.create_task(reconciler.run(stop))
        async with asyncio.timeout(5):
            while registry.get_sample_value("shouwang_ingest_receipts_checked_total") == before:
                await asyncio.sleep(0.01)
        stop.set()
        await running
        return registry.get_sample_value("shouwang_ingest_lost_receipts")

    assert await lost() == 0
    given("nowhere", "urn:x", 1)
    assert await lost() == 1
