"""Callers that each send the next request when the last one is answered: how many a server takes at most."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from services.ingest.load.connection import Connection, Reply, connect
from services.ingest.load.target import Target

ACCEPTED = 202
LOOK_EVERY_SECONDS = 0.02


class NotTaken(RuntimeError):
    """A server did not take what it was to take."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was answered 202 within some seconds, and the share of a processor that the callers themselves used."""

    requests: int
    seconds: float
    own_share: float

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Callers:
    """So many connections to a server, and the requests that they send over and over in turn."""

    def __init__(self, target: Target, requests: Sequence[bytes], connections: int) -> None:
        self._target = target
        self._requests = requests
        self._wanted = connections
        self._next = count()
        self._answers: Counter[int] = Counter()
        self._ending = False
        self._lost = 0

    async def run(self, *, warm_up_seconds: float, seconds: float) -> Taken:
        """Send for that long; what is answered while the server warms up is not counted. Raises NotTaken."""
        connections = [await connect(self._target, self._answered) for _ in range(self._wanted)]
        for connection in connections:
            self._send(connection)
        await asyncio.sleep(warm_up_seconds)
        began, used, before = time.perf_counter(), time.process_time(), self._answers[ACCEPTED]
        await asyncio.sleep(seconds)
        taken, passed = self._answers[ACCEPTED] - before, time.perf_counter() - began
        share = (time.process_time() - used) / passed
        self._ending = True
        for connection in connections:
            connection.close()
        others = {status: number for status, number in self._answers.items() if status != ACCEPTED}
        if others or self._lost or not taken:
            raise NotTaken(f"{taken} requests were taken; other answers: {others}; {self._lost} connections were lost")
        return Taken(taken, passed, share)

    def _send(self, connection: Connection) -> None:
        connection.send(self._requests[next(self._next) % len(self._requests)])

    def _answered(self, connection: Connection, reply: Reply | None) -> None:
        if reply is None:
            self._lost += 1
            return
        self._answers[reply.status] += 1
        if not self._ending:
            self._send(connection)
