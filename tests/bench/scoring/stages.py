"""Divides the processor time of the scorer's handler among its steps, by a store that knows when each begins.

One batch at a time, on one thread: so what the thread spends between two steps belongs to the first of them, and what
the driver does for a statement is counted with the statement.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from services.scorer.store import ScorerStore, ScorerTransaction
from shared.bus.ports import Claim, TopicPartition

STAGES = ("fetch", "decode", "load", "fold", "write", "commit", "tell")
_LOADS = frozenset({"states", "known", "histories", "refusal_terms", "lately_refused"})


class StageWatch:
    """Counts the thread's processor time for the stage under way. spent_ns: by stage."""

    def __init__(self) -> None:
        self.spent_ns = dict.fromkeys(STAGES, 0)
        self._stage: str | None = None
        self._since = 0

    def enter(self, stage: str | None) -> None:
        """End the stage under way and begin another; None: what comes now is not counted."""
        now = time.thread_time_ns()
        if self._stage is not None:
            self.spent_ns[self._stage] += now - self._since
        self._stage, self._since = stage, now

    def cpu_us(self, events: int) -> Mapping[str, float]:
        """Microseconds for each event, by stage."""
        return {stage: spent / 1000 / events for stage, spent in self.spent_ns.items()}


class WatchedStore:
    """The scorer's store for `ScoreEvents`, with the watch turned at each of its calls.

    Up to the transaction the handler decodes. Within it, it folds between the reads and the first write; from then on
    what it does is writing: the rows are put together there. After the COMMIT it tells: log, metrics, the relay.
    """

    def __init__(self, store: ScorerStore, watch: StageWatch) -> None:
        self._store = store
        self._watch = watch

    async def claim(self, partition: TopicPartition) -> Claim:
        """As the store."""
        return await self._store.claim(partition)

    @asynccontextmanager
    async def transaction(self, partition: TopicPartition) -> AsyncIterator[Any]:
        """As the store."""
        self._watch.enter("load")
        async with self._store.transaction(partition) as tx:
            yield _WatchedTransaction(tx, self._watch)
            self._watch.enter("commit")
        self._watch.enter("tell")


class _WatchedTransaction:
    """Passes each call on to the transaction, with the watch turned; neither a read nor `advance` = a write."""

    def __init__(self, tx: ScorerTransaction, watch: StageWatch) -> None:
        self._tx = tx
        self._watch = watch

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._tx, name)
        stage, after = ("load", "fold") if name in _LOADS else ("write", "write")
        if name == "advance":
            stage = after = "commit"

        async def watched(*arguments: Any, **named: Any) -> Any:
            self._watch.enter(stage)
            answer = await call(*arguments, **named)
            self._watch.enter(after)
            return answer

        return watched
