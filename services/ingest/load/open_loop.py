"""Sends by a timetable, whatever the answers do.

A sender that waits for one answer before it sends the next slows down with the server and then measures only the
requests that it has sent. Here each request has its instant; it waits, if it must, for a free connection or for as long
as the server has asked for, and all of that counts as waiting.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator

from services.ingest.load.connection import Connection, Reply, connect
from services.ingest.load.parcels import Parcel
from services.ingest.load.tally import Tally
from services.ingest.load.target import Target

# uvloop counts in milliseconds; less would be no wait at all.
TICK_SECONDS = 0.001
# Without a Retry-After, and before a lost connection is opened anew.
PAUSE_SECONDS = 0.5
DRAIN_SECONDS = 15.0


class Unreachable(Exception):
    """Nobody listens where the load was to go."""


class OpenLoop:
    """Sends parcels over so many connections. `tally` counts what becomes of them."""

    def __init__(self, target: Target, connections: int, tally: Tally) -> None:
        self._target = target
        self._wanted = connections
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._idle: list[Connection] = []
        self._under_way: dict[Connection, Parcel] = {}
        self._due: deque[Parcel] = deque()
        self._later: list[tuple[float, int, Parcel]] = []
        self._numbers = itertools.count()
        self._opening: set[asyncio.Task[None]] = set()
        # How late a parcel became due because we ourselves were busy, at worst, in seconds.
        self.latest = 0.0

    async def open(self) -> None:
        """Open the connections. Raises Unreachable."""
        try:
            for _ in range(self._wanted):
                self._idle.append(await connect(self._target, self._answered))
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"{self._target.host}:{self._target.port} cannot be reached: {error}") from error

    def now(self) -> float:
        """Seconds since the run began."""
        return self._loop.time() - self._began

    async def run(
        self,
        parcels: Iterator[Parcel],
        *,
        every_seconds: float,
        seconds: float,
        on_tick: Callable[[float], None],
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        """Send a parcel every so many seconds for so long, and wait for the answers that are still due.

        on_tick: told some thousand times a second at most how many seconds have passed.
        """
        self._began = self._loop.time()
        planned = max(1, round(seconds / every_seconds))
        made = 0
        while made < planned or (self._has_work() and self.now() < seconds + drain_seconds):
            now = self.now()
            while made < planned and made * every_seconds <= now:
                parcel = next(parcels)
                parcel.intended = made * every_seconds
                self.latest = max(self.latest, now - parcel.intended)
                self._tally.begin(parcel)
                self._due.append(parcel)
                made += 1
            while self._later and self._later[0][0] <= now:
                self._due.append(heapq.heappop(self._later)[2])
            self._pump()
            on_tick(now)
            next_at = made * every_seconds - self.now() if made < planned else TICK_SECONDS
            await asyncio.sleep(max(next_at, TICK_SECONDS))
        self._give_up()

    async def send_all(self, parcels: Iterator[Parcel]) -> None:
        """Send parcels as fast as they are answered, a few at a time, until all are settled or given up."""
        self._began = self._loop.time()
        given_up_at = DRAIN_SECONDS
        exhausted = False
        while not exhausted or self._has_work():
            while not exhausted and len(self._due) < len(self._idle):
                parcel = next(parcels, None)
                exhausted = parcel is None
                if parcel is not None:
                    parcel.intended = self.now()
                    given_up_at = parcel.intended + DRAIN_SECONDS
                    self._tally.begin(parcel)
                    self._due.append(parcel)
            while self._later and self._later[0][0] <= self.now():
                self._due.append(heapq.heappop(self._later)[2])
            self._pump()
            if self.now() > given_up_at:
                break
            await asyncio.sleep(TICK_SECONDS)
        self._give_up()

    def close(self) -> None:
        """Close all connections."""
        for task in self._opening:
            task.cancel()
        for connection in [*self._idle, *self._under_way]:
            connection.close()

    def _has_work(self) -> bool:
        return bool(self._due or self._later or self._under_way)

    def _pump(self) -> None:
        while self._due and self._idle:
            connection = self._idle.pop()
            if not connection.is_open:
                # The server has closed it between two requests.
                self._reopen(0.0)
                continue
            parcel = self._due.popleft()
            parcel.sent += 1
            self._under_way[connection] = parcel
            connection.send(self._target.request(parcel.bodies, is_batch=parcel.is_batch))

    def _answered(self, connection: Connection, reply: Reply | None) -> None:
        parcel = self._under_way.pop(connection)
        if reply is None:
            self._tally.lost_connections += 1
            self._again(parcel, parcel.bodies, PAUSE_SECONDS)
            self._reopen(PAUSE_SECONDS)
            return
        again = self._tally.answered(parcel, reply, self.now())
        if again:
            self._again(parcel, again, PAUSE_SECONDS if reply.retry_after is None else reply.retry_after)
        if connection.is_open:
            self._idle.append(connection)
        else:
            self._reopen(0.0)
        self._pump()

    def _again(self, parcel: Parcel, bodies: list[bytes], after_seconds: float) -> None:
        parcel.bodies = bodies
        heapq.heappush(self._later, (self.now() + after_seconds, next(self._numbers), parcel))

    def _reopen(self, after_seconds: float) -> None:
        task = self._loop.create_task(self._open_one(after_seconds))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open_one(self, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        while True:
            try:
                self._idle.append(await connect(self._target, self._answered))
            except (OSError, TimeoutError):
                # Nobody is there at the moment; what waits, waits.
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self._pump()
                return

    def _give_up(self) -> None:
        for parcel in [*self._due, *(parcel for _, _, parcel in self._later), *self._under_way.values()]:
            self._tally.give_up(parcel)
        self._due.clear()
        self._later.clear()
        for connection in self._under_way:
            connection.close()
        self._under_way.clear()
