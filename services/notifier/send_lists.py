"""Send weekly lists by whatever channels there are: after the alerts, and until they are taken or a day has passed."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Sequence
from datetime import timedelta

from services.notifier.channels.ports import Address, Channel
from services.notifier.core.retries import NOTICE_GIVEN_UP_AFTER, Attempt, judge
from services.notifier.metrics import OUTCOME_OF_STATUS, NotifierMetrics
from services.notifier.store.lists import DueList, Lists
from shared.clock import Clock
from shared.errors import TemporaryFailure
from shared.logs import get_logger

log = get_logger(__name__)

LOOK_EVERY_SECONDS = 2.0
AT_ONCE = 8
LEASE_BEYOND_SENDING = timedelta(seconds=15)
"""A lease outlasts the longest send by so much: lists are not urgent, so none is renewed."""


class SendLists:
    """A supervised task; replicas send different lists."""

    def __init__(
        self,
        channels: Sequence[Channel],
        store: Lists,
        clock: Clock,
        metrics: NotifierMetrics,
        worker: str,
        *,
        send_timeout_seconds: float,
    ) -> None:
        self._channels = channels
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._worker = worker
        self._lease = timedelta(seconds=send_timeout_seconds) + LEASE_BEYOND_SENDING
        self._claims = itertools.count(1)
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look for lists now."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until stopped."""
        while not stop.is_set():
            self._wake.clear()
            if not await self._once():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), LOOK_EVERY_SECONDS)

    async def _once(self) -> bool:
        try:
            return bool(await self.send_due())
        except TemporaryFailure as failure:
            log.warning("weekly lists wait for the database", reason=str(failure))
            return False

    async def send_due(self) -> int:
        """Send some of what is due by each channel; return how many attempts were made. Raises TemporaryFailure."""
        made = 0
        for channel in self._channels:
            worker = f"{self._worker}/{next(self._claims)}"
            dues = await self._store.claim(channel.name, worker, now=self._clock.now(), lease=self._lease, most=AT_ONCE)
            await asyncio.gather(*(self._send(channel, due, worker) for due in dues))
            made += len(dues)
        return made

    async def _send(self, channel: Channel, due: DueList, worker: str) -> None:
        attempt = await self._attempt(channel, due)
        now = self._clock.now()
        verdict = judge(
            attempt,
            attempts_before=due.attempts,
            now=now,
            spread=random.random(),  # noqa: S311
            wanted=True,
            given_up=now - due.created_at > NOTICE_GIVEN_UP_AFTER,
        )
        await self._store.conclude(due, worker, attempt, verdict, now)
        self._metrics.list_deliveries.labels(OUTCOME_OF_STATUS[verdict.status]).inc()
        facts = {"staff_id": due.staff_id, "channel": channel.name, "detail": attempt.code}
        log.info("a weekly list was tried", status=verdict.status, **facts)

    async def _attempt(self, channel: Channel, due: DueList) -> Attempt:
        try:
            return await channel.send(Address(due.staff_id, due.address, due.secret), due.message, due.message_id)
        except Exception as error:
            # A fault of ours with one list must not end the sending of all others; it is tried again, and seen.
            log.error("a channel failed in an unforeseen way", channel=channel.name, exc_info=error)
            return Attempt("fault")
