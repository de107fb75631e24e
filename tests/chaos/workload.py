"""The load: seeded, open-loop arrivals of household events, sent as field apps send them.

Arrivals come at their times, whatever happens to those before. Each household has one sender: its events leave one
after the other in the order of their making, so the true order is known; an event whose fate is unknown is sent again,
the same bytes, before the household's next one. When the load stops, what is left waits for `retry_unknown`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from random import Random
from typing import Any

from shared.clock import SHANGHAI
from tests.chaos.field_app import TIMEOUT_SECONDS, FieldApp, FieldEvent, Form, Kind
from tests.chaos.journal import Journal
from tests.chaos.maker import CANARIES, EventMaker
from tests.chaos.mix import Mix
from tests.chaos.sender import Parcel, Sender

ENROLLED_AT_ONCE = 10
# An arrival comes this many gaps after the one before: clients do not keep step, yet their number is as good as fixed.
SHORTEST_GAP, LONGEST_GAP = 0.75, 1.25


@dataclass(frozen=True, slots=True)
class Counts:
    """Where the load stands.

    arrivals: of the mix, each of one event or several. events: handed over for sending, by kind. ok, failed, info:
    answers so far. unknown: events whose last answer tells nothing; unsent: events that no request has held yet.
    """

    arrivals: int
    events: Mapping[Kind, int]
    ok: int
    failed: int
    info: int
    unknown: int
    unsent: int


class Workload:
    """The events of one run. To be used within one event loop."""

    def __init__(
        self,
        *,
        base_url: Callable[[], str],
        api_key: str,
        run: str,
        seed: int,
        journal: Journal,
        events: Journal,
        households: int = 120,
        today: date | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """journal: the client's; events: gets every event's bytes. Household ids begin with f"{run}-".

        today: the day that the events are about; by default this day in Shanghai.
        """
        self._app = FieldApp(base_url, api_key, run, journal, events, timeout_seconds, CANARIES)
        self._sender = Sender(self._app)
        today = today or datetime.now(SHANGHAI).date()
        self._maker = EventMaker(run, seed, today)
        self._extra = EventMaker(run, seed, today, series="x")
        self._mix = Mix(self._maker, households)
        # Apart from the events' chance: else the moments at which the rate changes would change what is sent.
        self._gaps = Random(f"gaps:{seed}")
        self._arrivals = 0
        self._queued: Counter[Kind] = Counter()
        self._arriving: asyncio.Task[None] | None = None

    async def enrol(self, within_seconds: float = 60.0) -> None:
        """Enrol the households. Raises TimeoutError if ingest was not there in time, RuntimeError if it refuses any."""
        now = time.time()
        enrolments = [self._maker.enrolment(home, now) for home in self._mix.homes.values()]
        for start in range(0, len(enrolments), ENROLLED_AT_ONCE):
            self.submit(enrolments[start : start + ENROLLED_AT_ONCE], Form.LINES)
        self._sender.go()
        if left := await self._sender.drain(time.monotonic() + within_seconds):
            raise TimeoutError(f"{left} households could not be enrolled in {within_seconds:g} s")
        if refused := self._app.answers["fail"]:
            raise RuntimeError(f"{refused} enrolments were refused; the client's journal says why")

    async def start(self, rate: float) -> None:
        """Begin arrivals, so many a second; returns at once."""
        self._sender.go()
        self.set_rate(rate)

    def set_rate(self, rate: float) -> None:
        """Change the arrivals a second from now on; 0 = none."""
        self._end_arrivals()
        if rate > 0:
            self._arriving = asyncio.create_task(self._arrive(rate))

    async def stop(self) -> None:
        """End arrivals, wait for requests under way (at most their timeout), and hold back everything else."""
        self._end_arrivals()
        await self._sender.hold()

    async def retry_unknown(self, until: float) -> int:
        """Send all that is unsent or unknown until each event has its ok or fail, or time.monotonic() passes `until`.

        Returns how many events are still without.
        """
        self._sender.go()
        left = await self._sender.drain(until)
        await self._sender.hold()
        return left

    async def close(self) -> None:
        """Give up what is left and let go of connections. The journals stay open: they are the caller's."""
        self._end_arrivals()
        try:
            await self._sender.close()
        finally:
            await self._app.close()

    @property
    def counts(self) -> Counts:
        """Where the load stands."""
        answers = self._app.answers
        return Counts(
            arrivals=self._arrivals,
            events=dict(self._queued),
            ok=answers["ok"],
            failed=answers["fail"],
            info=answers["info"],
            unknown=self._sender.unknown,
            unsent=self._sender.unsent,
        )

    @property
    def households(self) -> Sequence[str]:
        """The ids of all households so far."""
        return list(self._mix.homes)

    @property
    def hot_share(self) -> float:
        """Share of the ordinary events that go to one and the same household (F68); may be set at any time."""
        return self._mix.hot_share

    @hot_share.setter
    def hot_share(self, share: float) -> None:
        self._mix.hot_share = share

    def make(
        self,
        type: str,
        data: Mapping[str, Any],
        household: str,
        *,
        kind: Kind = Kind.NORMAL,
        serious: bool = False,
        **attributes: Any,
    ) -> FieldEvent:
        """Make an event with an id of its own, for faults that send more than the load does.

        type: as the rule book names it. attributes: of the envelope, such as id or time; one given as ... is left out.
        A household that the load does not know has the first app as its source.
        """
        home = self._mix.homes.get(household) or replace(self._extra.home(0), id=household)
        document = self._extra.document(home, type, data, **attributes)
        return self._extra.event(document, kind, time.time(), serious=serious)

    def submit(self, events: Sequence[FieldEvent], form: Form = Form.ONE) -> None:
        """Queue events behind those of their households, in one request; journalled and retried like all others."""
        self._queued.update(event.kind for event in events)
        self._sender.queue(Parcel(events, form))

    def use_key(self, api_key: str) -> None:
        """Send with another key from now on."""
        self._app.api_key = api_key

    async def _arrive(self, rate: float) -> None:
        wall_began, began = time.time(), time.monotonic()
        due = 0.0
        while True:
            # Those that are overdue because the loop was busy all come now, with the times at which they were due.
            await asyncio.sleep(began + due - time.monotonic())
            self._arrivals += 1
            for parcel in self._mix.next(wall_began + due):
                self.submit(parcel.events, parcel.form)
            due += self._gaps.uniform(SHORTEST_GAP, LONGEST_GAP) / rate

    def _end_arrivals(self) -> None:
        if self._arriving is not None:
            if self._arriving.done():
                self._arriving.result()
            self._arriving.cancel()
            self._arriving = None
