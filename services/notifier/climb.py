"""Climb: let alerts whose timer is due do what time does to them, each in the transaction that locks it.

Several replicas may climb at once: an alert is locked by one of them, and its step, message, deliveries and next timer
are committed together or not at all. So each hop is made once, whatever is killed when.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from services.notifier.core.climbing import Effect
from services.notifier.core.words import Wording
from services.notifier.draft_firing import Fired, draft_firing
from services.notifier.metrics import NotifierMetrics
from services.notifier.siren import Siren
from services.notifier.store.climbing import Climbing, DueAlert
from services.notifier.telling import Surroundings
from shared.clock import Clock
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger
from shared.policy import Policies

log = get_logger(__name__)

LOOK_EVERY_SECONDS = 1.0
BATCH = 100
LATER_AFTER_A_FAULT = timedelta(minutes=5)


class Climb:
    """A supervised task."""

    def __init__(
        self,
        store: Climbing,
        policies: Policies,
        clock: Clock,
        metrics: NotifierMetrics,
        *,
        public_url: str,
        wording: Wording,
        on_deliveries: Callable[[], None],
        siren: Siren | None = None,
    ) -> None:
        self._store = store
        self._policies = policies
        self._clock = clock
        self._metrics = metrics
        self._public_url = public_url
        self._wording = wording
        self._on_deliveries = on_deliveries
        self._siren = siren or Siren(None, clock, metrics)

    async def run(self, stop: asyncio.Event) -> None:
        """Look for due alerts until stopped."""
        await every(LOOK_EVERY_SECONDS, self._once, stop)

    async def _once(self) -> bool:
        try:
            # One thing is done about an alert at a time; after a standstill there may be more to do about the same.
            return bool(await self.fire_due())
        except TemporaryFailure as failure:
            log.warning("alerts wait with their climbing", reason=str(failure))
            return False

    async def fire_due(self) -> int:
        """Fire the worst due alerts, once each; return with how many time did something. Raises TemporaryFailure."""
        now = self._clock.now()
        async with self._store.transaction() as tx:
            dues = await tx.due(now, BATCH)
            if not dues:
                return 0
            surroundings = Surroundings(
                policies=self._policies,
                register=await tx.register((due.row.division for due in dues), now),
                told={},
                public_url=self._public_url,
                now=now,
                wording=self._wording,
                tellings=await tx.tellings({due.row.household_id for due in dues}, now),
                silences=await tx.silences(now),
            )
            fired = [self._fire(due, surroundings) for due in dues]
            await tx.save(
                [one.row for one in fired],
                [step for one in fired for step in one.steps],
                [message for one in fired for message in one.messages],
                [delivery for one in fired for delivery in one.deliveries],
                surroundings.tellings.recalled,
            )
        self._report(fired)
        await self._siren.unreachable([(one.row.alert_id, one.row.division) for one in fired if one.unreachable])
        return sum(one.effect is not Effect.NOTHING for one in fired)

    def _fire(self, due: DueAlert, surroundings: Surroundings) -> Fired:
        try:
            return draft_firing(due, surroundings)
        except Exception as error:
            # A fault of ours with one alert must not keep all others from climbing; it comes up again, and is seen.
            log.error("an alert could not climb", alert_id=due.row.alert_id, exc_info=error)
            self._metrics.climbing_faults.inc()
            return Fired(replace(due.row, timer_at=surroundings.now + LATER_AFTER_A_FAULT), Effect.NOTHING)

    def _report(self, fired: list[Fired]) -> None:
        self._metrics.count_held(delivery for one in fired for delivery in one.deliveries)
        for one in fired:
            self._metrics.timers.labels(one.effect).inc()
            if one.to is not None:
                self._metrics.hops.labels(one.to).inc()
            if one.effect is not Effect.NOTHING:
                log.info("time went by an alert", alert_id=one.row.alert_id, effect=one.effect, to=one.to)
            if one.unreachable:
                self._metrics.unreachable.inc()
                log.error("nobody is there to tell of an alert", alert_id=one.row.alert_id, division=one.row.division)
        if any(one.deliveries for one in fired):
            self._on_deliveries()
