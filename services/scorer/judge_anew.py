"""Judges households without an event: those for which a day has come, and those that a person wants folded anew."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.scorer.apply_outcomes import ApplyOutcomes
from services.scorer.fold_household import refold_household, tick_household
from services.scorer.metrics import ScorerMetrics
from services.scorer.outcome import Outcome
from services.scorer.poison_limits import IN_A_ROW
from services.scorer.store import ScorerStore, ScorerTransaction, StateRow
from shared.bus.ports import Claim, TopicPartition
from shared.clock import Clock, day_of
from shared.errors import PartitionHalted
from shared.events.household_event import HouseholdEvent
from shared.logs import get_logger
from shared.policy import Policies

log = get_logger(__name__)
DUE_AT_ONCE = 200
REFOLDS_AT_ONCE = 50


@dataclass(slots=True)
class _Refolds:
    """What became of requests to fold anew. outcomes: of the households whose row is another one now."""

    asked: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


class JudgeAnew:
    """What the owner of a partition does while nothing is left to read.

    Only then, so that a household's clock never runs ahead of events that wait on the log.
    """

    def __init__(
        self,
        store: ScorerStore,
        policies: Policies,
        clock: Clock,
        metrics: ScorerMetrics,
        outcomes: ApplyOutcomes,
        *,
        midnight_grace_seconds: float,
    ) -> None:
        self._store = store
        self._policies = policies
        self._clock = clock
        self._metrics = metrics
        self._outcomes = outcomes
        self._midnight_grace = timedelta(seconds=midnight_grace_seconds)

    async def caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        """Judge some, the oldest first; True while there are more. Raises TemporaryFailure, PartitionHalted."""
        now = self._clock.now()
        async with self._store.transaction(partition) as tx:
            await tx.hold(claim)
            ticked = await self._tick(tx, now)
            if sum(outcome.newly_parked for outcome in ticked) >= IN_A_ROW:
                await _halt_unless_allowed(tx, partition, claim)
            refolds = await self._refold(tx, now)
        self._metrics.due.inc(len(ticked))
        for label in refolds.labels:
            self._metrics.refolds.labels(label).inc()
        self._outcomes.tell([*ticked, *refolds.outcomes])
        return len(ticked) == DUE_AT_ONCE or refolds.asked == REFOLDS_AT_ONCE

    async def _tick(self, tx: ScorerTransaction, now: datetime) -> list[Outcome]:
        today = day_of(now - self._midnight_grace)
        due = {stored.household_id: stored for stored in await tx.due(today, DUE_AT_ONCE)}

        def tick(household_id: str, history: Sequence[HouseholdEvent] | None) -> Outcome:
            return tick_household(due[household_id], today, history, now, self._policies)

        outcomes = await self._outcomes.fold(tx, due, tick)
        await self._outcomes.write(tx, outcomes, now)
        return outcomes

    async def _refold(self, tx: ScorerTransaction, now: datetime) -> _Refolds:
        asked = await tx.refold_requests(REFOLDS_AT_ONCE)
        done = _Refolds(len(asked))
        if not asked:
            return done
        stored = await tx.states(asked)
        histories = await tx.histories(stored)
        for household_id, row in stored.items():
            outcome = self._refold_one(row, histories.get(household_id, []), now)
            if outcome is None:
                done.labels.append("failed")
            elif outcome.state == row:
                done.labels.append("same")
            else:
                done.labels.append("changed" if row.parked_reason is None else "unparked")
                done.outcomes.append(outcome)
        await self._outcomes.write(tx, done.outcomes, now)
        await tx.forget_refold_requests(asked)
        return done

    def _refold_one(self, row: StateRow, history: Sequence[HouseholdEvent], now: datetime) -> Outcome | None:
        """Fold one household anew; None if that cannot be done, and then the household stays as it is."""
        try:
            return refold_household(row, history, now, self._policies)
        except Exception as error:
            # As when an event is folded: impossible data or a fault of ours, and other households must not wait.
            log.warning(
                "a household cannot be folded anew; it stays as it is",
                household_id=row.household_id,
                parked=row.parked_reason is not None,
                reason=type(error).__name__,
                exc_info=True,
            )
            return None


async def _halt_unless_allowed(tx: ScorerTransaction, partition: TopicPartition, claim: Claim) -> None:
    next_offset = claim.next_offset or 0
    if next_offset < (await tx.refusal_terms()).free_below:
        return
    raise PartitionHalted(
        "too_many_refused",
        f"{IN_A_ROW} households or more would be parked at once as their day comes; nothing of it was stored."
        " Go back to the last release or policies that worked, or let it happen:"
        f" shouwang-scorer quarantine allow {partition.partition} --until-offset {next_offset + 1} --by NAME",
    )
