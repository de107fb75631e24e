"""Folds households with their ledgers where needed, writes what came of it, and tells of it once it is committed."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from services.scorer.computing import Computing
from services.scorer.fold_household import NeedsHistory
from services.scorer.metrics import ScorerMetrics
from services.scorer.outcome import Outcome
from services.scorer.store import ScorerTransaction
from shared.db.outbox import Message
from shared.events.household_event import HouseholdEvent
from shared.grade_message import write_grade_change
from shared.logs import get_logger
from shared.topics import GRADE_CHANGES, GRADES

log = get_logger(__name__)

FoldOne = Callable[[str, Sequence[HouseholdEvent] | None], Outcome]
"""Folds one household; the second argument is its ledger, or None while nobody has loaded it."""


class ApplyOutcomes:
    """Used by whatever judges households: events that came, days that came, people who ask.

    on_messages: called after a commit that left messages in the outbox.
    """

    def __init__(self, computing: Computing, metrics: ScorerMetrics, on_messages: Callable[[], None]) -> None:
        self._computing = computing
        self._metrics = metrics
        self._on_messages = on_messages

    async def fold(self, tx: ScorerTransaction, household_ids: Iterable[str], fold: FoldOne) -> list[Outcome]:
        """Fold each household; those whose past an event changes once more, with their ledger."""
        ids = list(household_ids)

        def fold_if_possible(household_id: str) -> Outcome | None:
            try:
                return fold(household_id, None)
            except NeedsHistory:
                return None

        first = await self._computing.each(fold_if_possible, ids)
        needing = [household_id for household_id, outcome in zip(ids, first, strict=True) if outcome is None]
        outcomes = [outcome for outcome in first if outcome is not None]
        if needing:
            self._metrics.replays.inc(len(needing))
            histories = await tx.histories(needing)
            outcomes += await self._computing.each(lambda one: fold(one, histories.get(one, [])), needing)
        return outcomes

    async def write(self, tx: ScorerTransaction, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Write everything in the transaction, one statement for each table."""
        await tx.add_ledger([row for outcome in outcomes for row in outcome.ledger])
        await tx.put_states([outcome.state for outcome in outcomes])
        await tx.add_transitions([row for outcome in outcomes for row in outcome.transitions])
        await tx.open_clues([outcome.clue for outcome in outcomes if outcome.opened_clue], now)
        await tx.close_clues([outcome.state.household_id for outcome in outcomes if outcome.closed_clue], now)
        await tx.add_findings([finding for outcome in outcomes for finding in outcome.findings], now)
        await tx.add_outbox([message for outcome in outcomes for message in _messages(outcome)])

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Count and log what has been committed."""
        self._metrics.clues.inc(sum(outcome.opened_clue for outcome in outcomes))
        for outcome in outcomes:
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


def _messages(outcome: Outcome) -> list[Message]:
    """Each change goes out as it happened; the compacted topic needs only the latest."""
    bodies = [write_grade_change(change) for change in outcome.changes]
    key = outcome.state.household_id
    messages = [(GRADE_CHANGES.name, key, body) for body in bodies]
    return [*messages, (GRADES.name, key, bodies[-1])] if bodies else []
