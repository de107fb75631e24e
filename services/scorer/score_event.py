"""Scores the events of one partition batch: the step between the log and the grade.

One transaction: drop what the ledger knows, load the households, fold, and write ledger, states, transitions, outbox,
quarantine and the partition's position together. Whatever fails, all of it is as if it had never been tried.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.scorer.fold_household import NeedsHistory, Outcome, fold_household, tick_household
from services.scorer.metrics import ScorerMetrics
from services.scorer.read_record import ReceivedEvent, RefusedRecord, read_record
from services.scorer.store import ScorerStore, ScorerTransaction
from shared.bus.ports import Claim, PartitionBatch, TopicPartition
from shared.clock import Clock, day_of
from shared.db.outbox import Message
from shared.events.household_event import HouseholdEvent
from shared.grade_message import write_grade_change
from shared.logs import get_logger
from shared.policy import Policies
from shared.topics import GRADE_CHANGES, GRADES

log = get_logger(__name__)
DUE_AT_ONCE = 200


@dataclass(slots=True)
class _Sorted:
    """The records of a batch, by what is to be done with them."""

    fresh: dict[str, list[ReceivedEvent]] = field(default_factory=dict)
    refused: list[RefusedRecord] = field(default_factory=list)
    repeats: int = 0


class ScoreEvents:
    """The scorer's batch handler.

    on_messages: called after a commit that left messages in the outbox.
    """

    def __init__(
        self,
        store: ScorerStore,
        policies: Policies,
        clock: Clock,
        metrics: ScorerMetrics,
        *,
        midnight_grace_seconds: float,
        on_messages: Callable[[], None],
    ) -> None:
        self._store = store
        self._policies = policies
        self._clock = clock
        self._metrics = metrics
        self._midnight_grace = timedelta(seconds=midnight_grace_seconds)
        self._on_messages = on_messages

    async def claim(self, partition: TopicPartition) -> Claim:
        """Become the partition's owner. Raises TemporaryFailure."""
        return await self._store.claim(partition)

    async def handle(self, batch: PartitionBatch) -> None:
        """Apply a batch. Raises TemporaryFailure, LostOwnership."""
        started = time.perf_counter()
        now = self._clock.now()
        read = [read_record(record, now) for record in batch.records]
        async with self._store.transaction(batch.partition) as tx:
            work = await _sort(tx, batch, read)
            outcomes = await self._fold(tx, work.fresh, now)
            await _write(tx, outcomes, now)
            await tx.add_quarantine(work.refused)
            await tx.advance(batch.claim, batch.next_offset)
        self._metrics.batch_seconds.observe(time.perf_counter() - started)
        self._count(work, outcomes)
        self._tell(outcomes)

    async def caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        """Judge households anew for which a day has come, oldest day first; True while there are more.

        Only the partition's owner does this, and only when nothing is left to read, so that a household's clock never
        runs ahead of events that wait on the log.
        """
        now = self._clock.now()
        today = day_of(now - self._midnight_grace)
        async with self._store.transaction(partition) as tx:
            await tx.hold(claim)
            due = {stored.household_id: stored for stored in await tx.due(today, DUE_AT_ONCE)}

            def tick(household_id: str, history: Sequence[HouseholdEvent] | None) -> Outcome:
                return tick_household(due[household_id], today, history, now, self._policies)

            outcomes = await self._with_histories(tx, due, tick)
            await _write(tx, outcomes, now)
        self._metrics.due.inc(len(outcomes))
        self._tell(outcomes)
        return len(due) == DUE_AT_ONCE

    async def _fold(
        self, tx: ScorerTransaction, fresh: Mapping[str, Sequence[ReceivedEvent]], now: datetime
    ) -> list[Outcome]:
        stored = await tx.states(fresh)

        def fold(household_id: str, history: Sequence[HouseholdEvent] | None) -> Outcome:
            return fold_household(stored.get(household_id), fresh[household_id], history, now, self._policies)

        return await self._with_histories(tx, fresh, fold)

    async def _with_histories(
        self,
        tx: ScorerTransaction,
        household_ids: Iterable[str],
        fold: Callable[[str, Sequence[HouseholdEvent] | None], Outcome],
    ) -> list[Outcome]:
        """Fold each household; those whose past an event changes once more, with their ledger."""
        outcomes: list[Outcome] = []
        needing: list[str] = []
        for household_id in household_ids:
            try:
                outcomes.append(fold(household_id, None))
            except NeedsHistory:
                needing.append(household_id)
        if needing:
            self._metrics.replays.inc(len(needing))
            histories = await tx.histories(needing)
            outcomes.extend(fold(household_id, histories.get(household_id, [])) for household_id in needing)
        return outcomes

    def _count(self, work: _Sorted, outcomes: Sequence[Outcome]) -> None:
        now = self._clock.now()
        self._metrics.events.labels("duplicate").inc(work.repeats)
        self._metrics.events.labels("quarantined").inc(len(work.refused))
        for refused in work.refused:
            self._metrics.quarantined.labels(refused.reason).inc()
            log.warning("record put in quarantine", reason=refused.reason, offset=refused.record.offset)
        for outcome in outcomes:
            self._metrics.events.labels(outcome.label).inc(len(outcome.ledger))
            for row in outcome.ledger:
                self._metrics.event_seconds.observe(max(0.0, (now - row.received.recorded_at).total_seconds()))

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._metrics.clues.inc(outcome.opened_clue)
            if outcome.newly_parked:
                self._metrics.parked.inc()
            for change in outcome.changes:
                self._metrics.changes.labels(change.new).inc()
                log.info(
                    "grade changed",
                    household_id=change.household_id,
                    old=change.old,
                    new=change.new,
                    version=change.version,
                    trigger=change.trigger.kind,
                )
        if any(outcome.changes for outcome in outcomes):
            self._on_messages()


async def _sort(tx: ScorerTransaction, batch: PartitionBatch, read: Sequence[ReceivedEvent | RefusedRecord]) -> _Sorted:
    """Tell first deliveries from repeats, and repeats from other events that use the same identity."""
    work = _Sorted()
    known = await tx.known([one.identity for one in read if isinstance(one, ReceivedEvent)])
    for record, one in zip(batch.records, read, strict=True):
        if isinstance(one, RefusedRecord):
            work.refused.append(one)
        elif one.identity not in known:
            known[one.identity] = one.content_hash
            work.fresh.setdefault(one.household_id, []).append(one)
        elif known[one.identity] == one.content_hash:
            work.repeats += 1
        else:
            work.refused.append(
                RefusedRecord(
                    record,
                    "CONFLICTING_DUPLICATE",
                    "another event came first under this source and id",
                    one.event.source,
                    one.event.event_id,
                    one.household_id,
                    one.key_id,
                )
            )
    return work


async def _write(tx: ScorerTransaction, outcomes: Sequence[Outcome], now: datetime) -> None:
    await tx.add_ledger([row for outcome in outcomes for row in outcome.ledger])
    await tx.put_states([outcome.state for outcome in outcomes])
    await tx.add_transitions([row for outcome in outcomes for row in outcome.transitions])
    await tx.open_clues([outcome.clue for outcome in outcomes if outcome.opened_clue], now)
    await tx.close_clues([outcome.state.household_id for outcome in outcomes if outcome.closed_clue], now)
    await tx.add_findings([finding for outcome in outcomes for finding in outcome.findings], now)
    await tx.add_outbox([message for outcome in outcomes for message in _messages(outcome)])


def _messages(outcome: Outcome) -> list[Message]:
    """Each change goes out as it happened; the compacted topic needs only the latest."""
    bodies = [write_grade_change(change) for change in outcome.changes]
    key = outcome.state.household_id
    messages = [(GRADE_CHANGES.name, key, body) for body in bodies]
    return [*messages, (GRADES.name, key, bodies[-1])] if bodies else []
