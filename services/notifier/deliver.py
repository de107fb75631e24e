"""Deliver what is due: lease it, close the transaction, send, store the outcome in a transaction of its own.

One lane per channel, so that slow webhooks never hold a mail. Within a lane, one slow host holds no more than its
share. What is due for one person goes out together, as a digest. A lease is short and renewed while its message is
being sent. A worker that dies leaves leases that expire; the next sends the same message under the same id.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from services.notifier.channels.ports import Address, Channel
from services.notifier.conclude_sent import PAUSES_BEFORE_OUTCOME_IS_LOST_SECONDS, ConcludeSent
from services.notifier.core.channel_order import ONE_IS_ENOUGH
from services.notifier.core.message import Message
from services.notifier.core.retries import Attempt, Verdict, is_given_up, judge, still_wanted
from services.notifier.metrics import OUTCOME_OF_STATUS, NotifierMetrics
from services.notifier.settings import NotifierSettings
from services.notifier.siren import Siren
from services.notifier.store.claims import Claims
from services.notifier.store.deliveries import NOT_TRIED, Deliveries
from services.notifier.store.directory import MAIL_RELAY
from services.notifier.store.due import Aftermath, Due, DueLine, Taken
from services.notifier.store.leases import Leases
from services.notifier.targets import Targets
from shared.alerts import ChannelName, DeliveryStatus
from shared.clock import Clock
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger

log = get_logger(__name__)

PAUSE_WITHOUT_DATABASE_SECONDS = 1.0
DRAIN_SECONDS = 8.0
SHOW_PENDING_SECONDS = 5.0
# Lanes that have little to do and limits of their own look less often.
QUIET_POLL_SECONDS = 1.0
ONLY_TARGET = {ChannelName.SMTP: MAIL_RELAY}


class PersonalPart(Protocol):
    """What one channel's messages say to their receiver alone."""

    async def put_into(self, due: Due) -> Message:
        """Return a delivery's message with its receiver's part, the same over all attempts. Raises TemporaryFailure."""
        ...


class Deliver:
    """The lane of one channel."""

    def __init__(
        self,
        channel: Channel,
        claims: Claims,
        leases: Leases,
        deliveries: Deliveries,
        clock: Clock,
        metrics: NotifierMetrics,
        settings: NotifierSettings,
        worker: str,
        *,
        spread: Callable[[], float] = random.random,
        on_deliveries: Callable[[], None] | None = None,
        siren: Siren | None = None,
        personal: PersonalPart | None = None,
    ) -> None:
        self._channel = channel
        self._claims = claims
        self._leases = leases
        self._deliveries = deliveries
        self._clock = clock
        self._metrics = metrics
        self._settings = settings
        self._worker = worker
        self._claim_number = itertools.count(1)
        self._sent = ConcludeSent(deliveries)
        self._spread = spread
        # All mail goes through one relay; a webhook's host is one of many.
        self._parallel = settings.delivery_parallel if channel.name in ONLY_TARGET else settings.channel_parallel
        self._targets = Targets(settings.delivery_parallel, settings.probe_seconds)
        quiet = channel.name in ONE_IS_ENOUGH
        self._personal = personal
        self._poll_seconds = max(settings.poll_seconds, QUIET_POLL_SECONDS if quiet else 0.0)
        self._wake = asyncio.Event()
        # Duty officers and next channels may be told by another lane than this one.
        self._on_deliveries = on_deliveries or self.wake
        self._siren = siren or Siren(None, clock, metrics)
        self._running: dict[asyncio.Task[None], Due] = {}

    @property
    def name(self) -> ChannelName:
        """Which channel's lane this is."""
        return self._channel.name

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until stopped; a supervised task. Sends under way get a few seconds to end."""
        async with asyncio.TaskGroup() as group:
            renewing = group.create_task(self._renew(), name=f"renew leases {self.name}")
            try:
                while not stop.is_set():
                    self._wake.clear()
                    if not await self.start_due():
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(self._wake.wait(), self._poll_seconds)
            finally:
                await self.finish(DRAIN_SECONDS)
                renewing.cancel()

    async def start_due(self) -> int:
        """Lease what is due and begin to send it; return how many were begun."""
        free = self._parallel - len(self._running)
        if free <= 0 or (self._running and free < self._parallel // 2):
            # One claim for several: asking for each single slot costs more than sending.
            return 0
        try:
            return await self._start(await self._claim(free))
        except TemporaryFailure as failure:
            log.warning("deliveries wait for the database", reason=str(failure))
            await asyncio.sleep(PAUSE_WITHOUT_DATABASE_SECONDS)
            return 0

    async def finish(self, seconds: float) -> None:
        """Wait for the sends under way; what is not done then is given up, and its lease left to expire."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _renew(self) -> None:
        """Show that we live: until another replica may take what we send, a third of the lease is always to come."""
        lease = timedelta(seconds=self._settings.lease_seconds)
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            if not self._running:
                continue
            try:
                await self._leases.renew(list(self._running.values()), self._clock.now() + lease)
            except TemporaryFailure as failure:
                log.warning("leases were not renewed", reason=str(failure))

    async def _claim(self, most: int) -> Sequence[Due]:
        now = self._clock.now()
        busy = self._targets.busy(now)
        if ONLY_TARGET.get(self._channel.name) in busy:
            # Nothing can be found, and looking would go through all that waits.
            return ()
        return await self._claims.claim(
            self._channel.name,
            # A name of its own for each claim: a lease of ours that expired must not be taken for the present one.
            f"{self._worker}/{next(self._claim_number)}",
            now=now,
            lease=timedelta(seconds=self._settings.lease_seconds),
            most=most,
            busy=busy,
            room=lambda target: self._targets.room(target, now),
        )

    async def _start(self, dues: Sequence[Due]) -> int:
        now = self._clock.now()
        taken = [due for due in dues if self._targets.take(due.target, now)]
        for due in taken:
            task = asyncio.create_task(self._deliver(due), name=f"deliver {due.message_id}")
            self._running[task] = due
            task.add_done_callback(self._done)
            if due.digest_id is not None and not due.attempts:
                self._metrics.digests.labels(self.name).inc()
                self._metrics.digest_alerts.labels(self.name).inc(len(due.lines))
        too_many = [due for due in dues if due not in taken]
        if too_many:
            await self._leases.release(too_many)
        return len(taken)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a delivery could not be concluded; its lease will expire", exc_info=error)

    async def _deliver(self, due: Due) -> None:
        code, came_back = NOT_TRIED, False
        try:
            wanted = any(self._wanted(line) for line in due.lines)
            if not any(line.is_pending for line in due.lines) or (due.attempts and not wanted):
                attempt, now = Attempt(NOT_TRIED), self._clock.now()
                verdict = Verdict(DeliveryStatus.SUPPRESSED)
            else:
                attempt = await self._attempt(due)
                code, now = attempt.code, self._clock.now()
                verdict = self._judge(due, attempt, wanted, now)
        finally:
            came_back = self._targets.give_back(due.target, code, self._clock.now())
            self._metrics.broken.labels(self.name).set(self._targets.broken())
        if code != NOT_TRIED:
            self._siren.ended(self.name, attempt)
        if verdict.status is DeliveryStatus.SENT:
            if await self._sent.store(Taken(due, now, attempt.receipt or "", attempt.code)):
                self._report(due, attempt, verdict, now)
        else:
            await self._conclude_all(due, attempt, verdict, now)
        if came_back:
            await self._hurry(due.target, now)

    async def _conclude_all(self, due: Due, attempt: Attempt, verdict: Verdict, now: datetime) -> None:
        """Conclude what was not taken; a long digest that failed for good takes several transactions."""
        aftermath = await self._conclude(due, attempt, verdict, now)
        if aftermath is not None:
            self._report(due, attempt, verdict, now)
        while aftermath is not None:
            self._report_aftermath(aftermath)
            await self._siren.unreachable([(line.alert_id, line.division) for line in aftermath.unreachable])
            aftermath = await self._conclude(due, attempt, verdict, now) if aftermath.left else None

    async def _hurry(self, target: str, now: datetime) -> None:
        """What waits for a host that is back need not wait for its next turn."""
        try:
            hurried = await self._deliveries.hurry(self._channel.name, target, now)
        except TemporaryFailure as failure:
            # They keep their turns.
            log.warning("deliveries were not hurried", reason=str(failure))
            return
        log.info("a receiver is back", channel=self._channel.name, hurried=hurried)

    async def _attempt(self, due: Due) -> Attempt:
        address = Address(due.staff_id, due.address, due.secret)
        try:
            message = due.message if self._personal is None else await self._personal.put_into(due)
            return await self._channel.send(address, message, due.message_id)
        except TemporaryFailure as failure:
            log.warning("a receiver's own part of a message waits for the database", reason=str(failure))
            return Attempt("database_away")
        except Exception as error:
            # A fault of ours with one message must not end the telling of all others; it is tried again, and seen.
            log.error("a channel failed in an unforeseen way", channel=due.channel, exc_info=error)
            return Attempt("fault")

    def _wanted(self, line: DueLine) -> bool:
        return line.is_pending and still_wanted(
            line.alert_status,
            revision=line.revision,
            acknowledged_revision=line.acknowledged_revision,
            reason=line.reason,
        )

    def _judge(self, due: Due, attempt: Attempt, wanted: bool, now: datetime) -> Verdict:
        return judge(
            attempt,
            attempts_before=due.attempts,
            now=now,
            spread=self._spread(),
            wanted=wanted,
            given_up=all(is_given_up(line.reason, created_at=line.created_at, now=now) for line in due.lines),
        )

    async def _conclude(self, due: Due, attempt: Attempt, verdict: Verdict, now: datetime) -> Aftermath | None:
        for pause in PAUSES_BEFORE_OUTCOME_IS_LOST_SECONDS:
            try:
                return await self._deliveries.conclude(due, attempt, verdict, now)
            except TemporaryFailure as failure:
                log.warning("an outcome waits for the database", message=due.message_id, reason=str(failure))
                await asyncio.sleep(pause)
        log.error("an outcome is lost; the message will be sent again under its id", message=due.message_id)
        return None

    def _report(self, due: Due, attempt: Attempt, verdict: Verdict, now: datetime) -> None:
        self._metrics.deliveries.labels(OUTCOME_OF_STATUS[verdict.status]).inc(len(due.lines))
        facts = {**due.facts, "detail": attempt.code, "deliveries": len(due.lines)}
        if verdict.status is DeliveryStatus.SENT:
            for line in due.lines:
                self._metrics.delivery_seconds.observe(max(0.0, (now - line.decided_at).total_seconds()))
            log.info("delivered", **facts)
        else:
            log.warning("not delivered", status=verdict.status, attempts=due.attempts + 1, **facts)

    def _report_aftermath(self, aftermath: Aftermath) -> None:
        if aftermath.passed_on:
            self._metrics.fallbacks.inc(aftermath.passed_on)
        if aftermath.rerouted:
            log.warning("duty officers are told instead", people=aftermath.rerouted)
        if aftermath.passed_on or aftermath.rerouted:
            self._on_deliveries()
        for line in aftermath.unreachable:
            self._metrics.unreachable.inc()
            log.error("nobody is left to tell of an alert", alert_id=line.alert_id, division=line.division)


class ShowPending:
    """Keeps the gauges of pending deliveries up to date."""

    def __init__(self, deliveries: Deliveries, clock: Clock, metrics: NotifierMetrics) -> None:
        self._deliveries = deliveries
        self._clock = clock
        self._metrics = metrics

    async def run(self, stop: asyncio.Event) -> None:
        """Count every few seconds; a supervised task."""
        await every(SHOW_PENDING_SECONDS, self._count, stop)

    async def _count(self) -> bool:
        try:
            pending = await self._deliveries.pending(self._clock.now())
        except TemporaryFailure as failure:
            log.warning("pending deliveries could not be counted", reason=str(failure))
        else:
            self._metrics.pending.set(pending.all_of_them)
            self._metrics.paced.set(pending.paced)
        return False
