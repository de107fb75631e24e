"""Scores the events of one partition batch: the step between the log and the grade.

One transaction: drop what the ledger knows, load the households, fold, and write ledger, states, transitions, outbox,
quarantine and the partition's position together. Whatever fails, all of it is as if it had never been tried.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.scorer.apply_outcomes import ApplyOutcomes
from services.scorer.computing import Computing
from services.scorer.fold_household import fold_household
from services.scorer.judge_anew import JudgeAnew
from services.scorer.metrics import ScorerMetrics
from services.scorer.outcome import Outcome
from services.scorer.poison_limits import WINDOW, Refusals, limit_passed
from services.scorer.read_record import ReceivedEvent, RefusedRecord, read_record
from services.scorer.sort_batch import UNCOUNTED_REASONS, PartitionOf, SortedBatch, refuse_strays, sort_batch
from services.scorer.store import ScorerStore, ScorerTransaction, StateRow
from shared.bus.ports import Claim, PartitionBatch, Record, TopicPartition
from shared.clock import Clock
from shared.errors import PartitionHalted
from shared.events.household_event import HouseholdEvent
from shared.grades import RiskGrade
from shared.logs import get_logger
from shared.policy import Policies

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Folded:
    """What a transaction's records amount to: sorted, and folded onto the households as they are stored."""

    work: SortedBatch
    stored: Mapping[str, StateRow]
    outcomes: list[Outcome]

    @property
    def grown_serious(self) -> list[Outcome]:
        """Those that make a household's grade worse and serious."""
        return [one for one in self.outcomes if _grew_serious(self.stored.get(one.state.household_id), one)]


class ScoreEvents:
    """The scorer's batch handler.

    partition_of: where a household's records belong. on_messages: called after a commit that left messages in the
    outbox.
    """

    def __init__(
        self,
        store: ScorerStore,
        policies: Policies,
        clock: Clock,
        metrics: ScorerMetrics,
        *,
        partition_of: PartitionOf,
        midnight_grace_seconds: float,
        on_messages: Callable[[], None],
    ) -> None:
        self._store = store
        self._policies = policies
        self._clock = clock
        self._metrics = metrics
        self._partition_of = partition_of
        self._computing = Computing()
        self._outcomes = ApplyOutcomes(self._computing, metrics, on_messages)
        self._anew = JudgeAnew(
            store, policies, clock, metrics, self._outcomes, midnight_grace_seconds=midnight_grace_seconds
        )
        self._refusals: dict[TopicPartition, Refusals] = {}

    async def claim(self, partition: TopicPartition) -> Claim:
        """Become the partition's owner, and learn what was refused there lately. Raises TemporaryFailure.

        What this process itself saw is kept over a claim: a partition that was halted is claimed again and again, and
        a household that was parked leaves no row in the quarantine.
        """
        claim = await self._store.claim(partition)
        next_offset = claim.next_offset or 0
        async with self._store.transaction(partition) as tx:
            terms = await tx.refusal_terms()
            stored = await tx.lately_refused(next_offset - WINDOW, UNCOUNTED_REASONS)
        seen = self._refusals.get(partition, Refusals(0)).offsets
        first_offset = next_offset if terms.first_offset is None else terms.first_offset
        lately = [offset for offset in seen if offset < next_offset]
        self._refusals[partition] = Refusals(first_offset).with_more([*stored, *lately])
        return claim

    async def read(self, records: Sequence[Record]) -> list[ReceivedEvent | RefusedRecord]:
        """Read records; that they are read changes nothing, so it may happen before their batch is handed over."""
        now = self._clock.now()
        return await self._computing.each(lambda record: read_record(record, now), records)

    async def handle(self, batch: PartitionBatch) -> None:
        """Apply a batch. Raises TemporaryFailure, LostOwnership, PartitionHalted."""
        started = time.perf_counter()
        read = [*batch.read, *await self.read(batch.records[len(batch.read) :])]
        now = self._clock.now()
        async with self._store.transaction(batch.partition) as tx:
            folded = await self._fold(tx, batch, read, now)
            work, outcomes = folded.work, folded.outcomes
            refusals = await self._within_limits(tx, batch, _counted(work, outcomes))
            await self._outcomes.write(tx, outcomes, now)
            await tx.add_quarantine(work.refused)
            await tx.advance(batch, work.fates())
        self._refusals[batch.partition] = refusals
        self._metrics.batch_seconds.observe(time.perf_counter() - started)
        self._count_passed(work)
        self._tell(outcomes)

    async def may_grow_serious(self, partition: TopicPartition, records: Sequence[Record]) -> set[str]:
        """Return the households that records would bring a worse and serious grade, as far as these alone can tell.

        Other records may lie before them, so this is a good guess and no verdict. Of a household that waits for its
        enrolment they tell nothing, so it is among them. Changes nothing. Raises TemporaryFailure.
        """
        read = await self.read(records)
        async with self._store.transaction(partition) as tx:
            folded = await self._fold(tx, PartitionBatch(partition, Claim(0, None), records), read, self._clock.now())
        waiting = [outcome for outcome in folded.outcomes if outcome.label == "waiting"]
        return {outcome.state.household_id for outcome in (*folded.grown_serious, *waiting)}

    async def overtake(self, partition: TopicPartition, claim: Claim, records: Sequence[Record]) -> set[str]:
        """Apply records ahead of their turn, where that brings their household a worse and serious grade.

        records: of each household all from `claim.next_offset` on, in their order, up to some offset. The position
        stays; when it comes to them, the ledger has them from their very places. What is to be refused, and what would
        park a household, is left to its turn. Returns the households whose records were applied.
        Raises TemporaryFailure, LostOwnership.
        """
        read, now = await self.read(records), self._clock.now()
        async with self._store.transaction(partition) as tx:
            await tx.hold(claim)
            folded = await self._fold(tx, PartitionBatch(partition, claim, records), read, now)
            outcomes = [outcome for outcome in folded.grown_serious if not outcome.newly_parked]
            await self._outcomes.write(tx, outcomes, now)
        overtaken = sum(len(outcome.ledger) for outcome in outcomes)
        self._metrics.overtaken.inc(overtaken)
        log.info("events went ahead of their turn", partition=str(partition), events=overtaken)
        self._tell(outcomes)
        return {outcome.state.household_id for outcome in outcomes}

    async def caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        """Judge households for which a day has come, or for which a person asks; True while there are more."""
        return await self._anew.caught_up(partition, claim)

    async def _fold(
        self,
        tx: ScorerTransaction,
        batch: PartitionBatch,
        read: Sequence[ReceivedEvent | RefusedRecord],
        now: datetime,
    ) -> _Folded:
        events = [one for one in read if isinstance(one, ReceivedEvent)]
        known = await tx.known([event.identity for event in events])
        stored = await tx.states({event.household_id for event in events})
        work = sort_batch(batch, refuse_strays(batch, read, stored, self._partition_of), known)

        def fold(household_id: str, history: Sequence[HouseholdEvent] | None) -> Outcome:
            return fold_household(stored.get(household_id), work.fresh[household_id], history, now, self._policies)

        return _Folded(work, stored, await self._outcomes.fold(tx, work.fresh, fold))

    async def _within_limits(
        self, tx: ScorerTransaction, batch: PartitionBatch, counted: Sequence[tuple[int, str]]
    ) -> Refusals:
        """Return what was refused lately, with this batch. Raises PartitionHalted while nothing is written yet."""
        before = self._refusals[batch.partition]
        offsets = [offset for offset, _ in counted]
        # The operator's word is asked for only when it matters, and then anew: it may have been given just now.
        if limit_passed(before, offsets):
            passed = limit_passed(before, offsets, (await tx.refusal_terms()).free_below)
            if passed:
                raise PartitionHalted("too_many_refused", _what_to_do(batch, passed, counted))
        return before.with_more(offsets)

    def _count_passed(self, work: SortedBatch) -> None:
        self._metrics.events.labels("duplicate").inc(work.repeats)
        self._metrics.events.labels("quarantined").inc(len(work.refused))
        for refused in work.refused:
            self._metrics.quarantined.labels(refused.reason).inc()
            log.warning("record put in quarantine", reason=refused.reason, offset=refused.record.offset)

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        now = self._clock.now()
        by_label: Counter[str] = Counter()
        for outcome in outcomes:
            by_label[outcome.label] += len(outcome.ledger)
            for row in outcome.ledger:
                self._metrics.event_seconds.observe(max(0.0, (now - row.received.recorded_at).total_seconds()))
        for label, events in by_label.items():
            self._metrics.events.labels(label).inc(events)
        self._outcomes.tell(outcomes)


def _grew_serious(before: StateRow | None, outcome: Outcome) -> bool:
    grade = outcome.state.grade
    return grade is not None and grade >= RiskGrade.ORANGE and (before is None or grade > (before.grade or 0))


def _counted(work: SortedBatch, outcomes: Sequence[Outcome]) -> list[tuple[int, str]]:
    """(offset, reason) of the records that count against the limits, in their order."""
    refused = [(one.record.offset, one.reason) for one in work.refused if one.reason not in UNCOUNTED_REASONS]
    parked = [(outcome.parked_at, "PARKED") for outcome in outcomes if outcome.parked_at is not None]
    return sorted([*refused, *parked])


def _what_to_do(batch: PartitionBatch, passed: str, counted: Sequence[tuple[int, str]]) -> str:
    reasons = ", ".join(f"{reason} {times}" for reason, times in Counter(reason for _, reason in counted).most_common())
    return (
        f"{passed} (from offset {counted[0][0]} on: {reasons}); nothing of it was stored. If this release reads them"
        " wrongly, go back to the last one or mend it and start again; if they are rubbish, let them go to quarantine:"
        f" shouwang-scorer quarantine allow {batch.partition.partition} --until-offset {counted[-1][0] + 1} --by NAME"
    )
