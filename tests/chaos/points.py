"""The points at which hooks can go off, and where in the services they lie."""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

import shared.lifecycle
from shared.bus.kafka.consumer import KafkaConsumer, _Listener
from shared.bus.kafka.publisher import KafkaPublisher
from shared.bus.ports import Receipt
from shared.db import outbox
from shared.db.driver import Driver
from tests.chaos.install import Patches, Trips, mark

LOOK_EVERY_SECONDS = 0.05


@dataclass(slots=True)
class Batch:
    """The partition batch that is being worked on: how many of its statements have passed."""

    passed: int = 0


_batch: ContextVar[Batch | None] = ContextVar("batch", default=None)


def wrap_points(service: str, trips: Trips, patches: Patches) -> None:
    """Wrap every point of a service."""
    _POINTS_OF[service](trips, patches)


def add_task(service: str, file: Path, patches: Patches) -> None:
    """Give the service one more task: it blocks the event loop for as long as a number in the file says."""

    async def block(stop: asyncio.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            _stand_still(file)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        async def run_service(server: Any, tasks: Mapping[str, Any], **options: Any) -> None:
            await original(server, {**tasks, "block the loop": block}, **options)

        return run_service

    # Where each service's main takes it from when it is imported, which is after this.
    patches.wrap(shared.lifecycle, "run_service", make)


def _stand_still(file: Path) -> None:
    """Block whatever runs this for as long as the file says, and forget the file."""
    if file.exists() and (said := file.read_text(encoding="ascii").strip()):
        file.unlink()
        mark(f"blocked {said}")
        time.sleep(float(said))


def _points_of_ingest(trips: Trips, patches: Patches) -> None:
    def publish(original: Any) -> Any:
        @functools.wraps(original)
        async def wrapped(*arguments: Any, **options: Any) -> Any:
            trips.passing("ingest.before_send")
            outcome = await original(*arguments, **options)
            if any(isinstance(one, Receipt) for one in ([outcome] if isinstance(outcome, Receipt) else outcome)):
                trips.passing("ingest.after_ack")
            return outcome

        return wrapped

    def publish_many(original: Any) -> Any:
        whole = publish(original)

        @functools.wraps(original)
        async def wrapped(log: KafkaPublisher, topic: Any, records: Sequence[Any], **options: Any) -> Any:
            for number in range(1, len(records) + 1):
                if trips.waits("ingest.batch_item", number):
                    # What comes before it is on the log, so that the batch really breaks in the middle.
                    await original(log, topic, records[: number - 1], **options)
                trips.passing("ingest.batch_item", number)
            return await whole(log, topic, records, **options)

        return wrapped

    patches.wrap(KafkaPublisher, "publish", publish)
    patches.wrap(KafkaPublisher, "publish_many", publish_many)


def _points_of_scorer(trips: Trips, patches: Patches) -> None:
    from services.scorer.score_event import ScoreEvents
    from services.scorer.store import ScorerStore

    def execute(original: Any) -> Any:
        @functools.wraps(original)
        async def wrapped(where: AsyncConnection | Driver, statement: Any, *arguments: Any, **options: Any) -> Any:
            batch = _batch.get()
            if batch is not None:
                batch.passed += 1
                trips.passing("scorer.before_statement", batch.passed)
            if statement is outbox._REMOVE:
                trips.passing("relay.before_remove")
            return await original(where, statement, *arguments, **options)

        return wrapped

    def assigned(original: Any) -> Any:
        @functools.wraps(original)
        def wrapped(*arguments: Any) -> None:
            trips.passing("scorer.on_assigned")
            original(*arguments)

        return wrapped

    patches.wrap(KafkaConsumer, "fetch", _if_any(trips, "scorer.after_fetch"))
    patches.wrap(_Listener, "on_partitions_assigned", assigned)
    patches.wrap(ScoreEvents, "handle", _counting)
    patches.wrap(ScorerStore, "transaction", _around_commit(trips, "scorer.before_commit", "scorer.after_commit"))
    patches.wrap(AsyncConnection, "execute", execute)
    patches.wrap(Driver, "fetch", execute)
    patches.wrap(Driver, "copy", execute)


def _points_of_notifier(trips: Trips, patches: Patches) -> None:
    from services.notifier.deliver import Deliver
    from services.notifier.raise_alert import RaiseAlert
    from services.notifier.store.alerts import AlertStore
    from services.notifier.store.claims import Claims

    def sent(attempt: Any) -> None:
        if attempt.receipt is not None:
            trips.passing("notifier.after_send")

    patches.wrap(RaiseAlert, "handle", _counting)
    patches.wrap(AlertStore, "transaction", _around_commit(trips, "notifier.in_transaction", "notifier.after_commit"))
    patches.wrap(Claims, "claim", _if_any(trips, "notifier.after_claim"))
    patches.wrap(Deliver, "_attempt", _then(sent))


def _then(look: Callable[[Any], None]) -> Callable[[Any], Any]:
    """Look at what an async function returned before its caller gets it."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        async def wrapped(*arguments: Any, **options: Any) -> Any:
            outcome = await original(*arguments, **options)
            look(outcome)
            return outcome

        return wrapped

    return make


def _if_any(trips: Trips, point: str) -> Callable[[Any], Any]:
    """Pass a point when an async function has returned something that is not empty."""

    def look(outcome: Any) -> None:
        if outcome:
            trips.passing(point)

    return _then(look)


def _counting(original: Any) -> Any:
    """Count statements anew for each call of a function that works on one batch."""

    @functools.wraps(original)
    async def wrapped(*arguments: Any, **options: Any) -> Any:
        token = _batch.set(Batch())
        try:
            return await original(*arguments, **options)
        finally:
            _batch.reset(token)

    return wrapped


def _around_commit(trips: Trips, before: str, after: str) -> Callable[[Any], Any]:
    """Pass one point when a batch's transaction is about to be committed, the other when it is."""

    def make(original: Any) -> Any:
        @asynccontextmanager
        @functools.wraps(original)
        async def wrapped(*arguments: Any, **options: Any) -> AsyncIterator[Any]:
            async with original(*arguments, **options) as transaction:
                yield transaction
                if _batch.get() is not None:
                    trips.passing(before)
            if _batch.get() is not None:
                trips.passing(after)

        return wrapped

    return make


_POINTS_OF: Mapping[str, Callable[[Trips, Patches], None]] = {
    "ingest": _points_of_ingest,
    "scorer": _points_of_scorer,
    "notifier": _points_of_notifier,
}
