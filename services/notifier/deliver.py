"""Deliver what is due: lease it, close the transaction, send, store the outcome in a transaction of its own.

One lane per channel, so that slow webhooks never hold a mail. Within a lane, one slow host holds no more than its
share. A lease is short and renewed while its message is being sent. A worker that dies leaves leases that expire; the
next sends the same message under the same id.
"""

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from services.notifier.channels.ports import Address, Channel
from services.notifier.conclude_sent import PAUSES_BEFORE_OUTCOME_IS_LOST_SECONDS, ConcludeSent
from services.notifier.core.retries import SENT, Attempt, Verdict, is_given_up, is_outage, judge, still_wanted
from services.notifier.mail_links import MailLinks
from services.notifier.metrics import OUTCOME_OF_STATUS, NotifierMetrics
from services.notifier.settings import NotifierSettings
from services.notifier.store.deliveries import NOT_TRIED, Aftermath, Deliveries, Due, Taken
from shared.alerts import ChannelName, DeliveryStatus
from shared.clock import Clock
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger

log = get_logger(__name__)

PAUSE_WITHOUT_DATABASE_SECONDS = 1.0
DRAIN_SECONDS = 8.0
SHOW_PENDING_SECONDS = 5.0
# After one of these a host gets one message at a time until it takes one.
SIGNS_OF_TROUBLE = frozenset({"timeout", "connection_refused", "no_such_host", "disconnected", "bad_reply", "tls"})


class Targets:
    """How many sends are under way to each target, and how many may be."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._under_way: Counter[str] = Counter()
        self._troubled: set[str] = set()
        self._out: set[str] = set()

    def take(self, target: str) -> bool:
        """Begin a send, unless the target has its share."""
        if self._under_way[target] >= self._limit(target):
            return False
        self._under_way[target] += 1
        return True

    def give_back(self, target: str, attempt_code: str) -> bool:
        """End a send and remember how the target fares; True when it has just come back from an outage."""
        self._under_way[target] -= 1
        if not self._under_way[target]:
            del self._under_way[target]
        if attempt_code in SIGNS_OF_TROUBLE:
            self._troubled.add(target)
        else:
            self._troubled.discard(target)
        came_back = attempt_code == SENT and target in self._out
        if is_outage(attempt_code):
            self._out.add(target)
        elif came_back:
            self._out.remove(target)
        return came_back

    def busy(self) -> list[str]:
        """Return the targets that have their share."""
        return [target for target, count in self._under_way.items() if count >= self._limit(target)]

    def _limit(self, target: str) -> int:
        return 1 if target in self._troubled else self._share


class Deliver:
    """The lane of one channel."""

    def __init__(
        self,
        channel: Channel,
        deliveries: Deliveries,
        clock: Clock,
        metrics: NotifierMetrics,
        settings: NotifierSettings,
        worker: str,
        *,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._channel = channel
        self._deliveries = deliveries
        self._clock = clock
        self._metrics = metrics
        self._settings = settings
        self._worker = worker
        self._claims = itertools.count(1)
        self._sent = ConcludeSent(deliveries)
        self._spread = spread
        parallel = settings.delivery_parallel
        # All mail goes through one relay; a webhook's host is one of many.
        self._targets = Targets(parallel if channel.name is ChannelName.SMTP else max(1, parallel // 4))
        self._links = MailLinks(settings) if channel.name is ChannelName.SMTP else None
        self._wake = asyncio.Event()
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
                            await asyncio.wait_for(self._wake.wait(), self._settings.poll_seconds)
            finally:
                await self.finish(DRAIN_SECONDS)
                renewing.cancel()

    async def start_due(self) -> int:
        """Lease what is due and begin to send it; return how many were begun."""
        free = self._settings.delivery_parallel - len(self._running)
        if free <= 0 or (self._running and free < self._settings.delivery_parallel // 2):
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
                await self._deliveries.renew(list(self._running.values()), self._clock.now() + lease)
            except TemporaryFailure as failure:
                log.warning("leases were not renewed", reason=str(failure))

    async def _claim(self, most: int) -> Sequence[Due]:
        return await self._deliveries.claim(
            self._channel.name,
            # A name of its own for each claim: a lease of ours that expired must not be taken for the present one.
            f"{self._worker}/{next(self._claims)}",
            now=self._clock.now(),
            lease=timedelta(seconds=self._settings.lease_seconds),
            most=most,
            busy=self._targets.busy(),
        )

    async def _start(self, dues: Sequence[Due]) -> int:
        taken = [due for due in dues if self._targets.take(due.target)]
        for due in taken:
            task = asyncio.create_task(self._deliver(due), name=f"deliver {due.delivery_id}")
            self._running[task] = due
            task.add_done_callback(self._done)
        too_many = [due for due in dues if due not in taken]
        if too_many:
            await self._deliveries.release(too_many)
        return len(taken)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a delivery could not be concluded; its lease will expire", exc_info=error)

    async def _deliver(self, due: Due) -> None:
        code, came_back = NOT_TRIED, False
        try:
            wanted = self._wanted(due)
            if due.attempts and not wanted:
                attempt, now = Attempt(NOT_TRIED), self._clock.now()
                verdict = Verdict(DeliveryStatus.SUPPRESSED)
            else:
                attempt = await self._attempt(due)
                code, now = attempt.code, self._clock.now()
                verdict = self._judge(due, attempt, wanted, now)
        finally:
            came_back = self._targets.give_back(due.target, code)
        if verdict.status is DeliveryStatus.SENT:
            taken = Taken(due.delivery_id, now, attempt.receipt or "", attempt.code)
            aftermath = Aftermath() if await self._sent.store(taken) else None
        else:
            aftermath = await self._conclude(due, attempt, verdict, now)
        if aftermath is not None:
            self._report(due, attempt, verdict, aftermath, now)
        if came_back:
            await self._hurry(due.target, now)

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
        address = Address(due.staff_id, due.email, due.webhook_url, due.webhook_secret)
        try:
            message = due.message if self._links is None else self._links.put_into(due)
            return await self._channel.send(address, message, due.message_id)
        except Exception as error:
            # A fault of ours with one message must not end the telling of all others; it is tried again, and seen.
            log.error("a channel failed in an unforeseen way", channel=due.channel, exc_info=error)
            return Attempt("fault")

    def _wanted(self, due: Due) -> bool:
        return still_wanted(
            due.alert_status,
            revision=due.revision,
            acknowledged_revision=due.acknowledged_revision,
            reason=due.reason,
        )

    def _judge(self, due: Due, attempt: Attempt, wanted: bool, now: datetime) -> Verdict:
        return judge(
            attempt,
            attempts_before=due.attempts,
            now=now,
            spread=self._spread(),
            wanted=wanted,
            given_up=is_given_up(due.reason, created_at=due.created_at, now=now),
        )

    async def _conclude(self, due: Due, attempt: Attempt, verdict: Verdict, now: datetime) -> Aftermath | None:
        for pause in PAUSES_BEFORE_OUTCOME_IS_LOST_SECONDS:
            try:
                return await self._deliveries.conclude(due, attempt, verdict, now)
            except TemporaryFailure as failure:
                log.warning("an outcome waits for the database", delivery=due.delivery_id, reason=str(failure))
                await asyncio.sleep(pause)
        log.error("an outcome is lost; the message will be sent again under its id", delivery=due.delivery_id)
        return None

    def _report(self, due: Due, attempt: Attempt, verdict: Verdict, aftermath: Aftermath, now: datetime) -> None:
        self._metrics.deliveries.labels(OUTCOME_OF_STATUS[verdict.status]).inc()
        facts = {"alert_id": due.alert_id, "staff_id": due.staff_id, "channel": due.channel, "detail": attempt.code}
        if verdict.status is DeliveryStatus.SENT:
            self._metrics.delivery_seconds.observe(max(0.0, (now - due.decided_at).total_seconds()))
            log.info("delivered", **facts)
        else:
            log.warning("not delivered", status=verdict.status, attempts=due.attempts + 1, **facts)
        if aftermath.rerouted:
            log.warning("duty officers are told instead", alert_id=due.alert_id, people=aftermath.rerouted)
            self._wake.set()
        if aftermath.unreachable:
            self._metrics.unreachable.inc()
            log.error("nobody is left to tell of an alert", alert_id=due.alert_id, division=due.division)


class ShowPending:
    """Keeps the gauge of pending deliveries up to date."""

    def __init__(self, deliveries: Deliveries, metrics: NotifierMetrics) -> None:
        self._deliveries = deliveries
        self._metrics = metrics

    async def run(self, stop: asyncio.Event) -> None:
        """Count every few seconds; a supervised task."""
        await every(SHOW_PENDING_SECONDS, self._count, stop)

    async def _count(self) -> bool:
        try:
            self._metrics.pending.set(await self._deliveries.pending())
        except TemporaryFailure as failure:
            log.warning("pending deliveries could not be counted", reason=str(failure))
        return False
