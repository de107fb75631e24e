"""The open connections of one server: who may stay, who has waited too long, who makes room for a newcomer."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from itertools import takewhile
from typing import Literal, Protocol

from shared.http.protocol_checks import PROTOCOL_ERRORS
from shared.http.protocol_limits import MAX_ENDING, HttpLimits
from shared.metrics import ServiceMetrics

# A caller who has taken this long to send a body may be cut to let another in.
BODY_GRACE_SECONDS = 1.0
# How long a refused caller has to read why.
LAST_WORDS_SECONDS = 2.0
LOOK_EVERY_SECONDS = 0.25
# Many that are late at once are ended a few at a time, so that nobody else waits for it.
END_AT_ONCE = 20
LOOK_AGAIN_SECONDS = 0.005
CROWDED = 0.75


Phase = Literal["new", "head", "body", "work", "rest", "idle", "ending"]
"""What a connection is waiting for.

new: its first byte. head, body: the rest of it. work: our answer. rest: the rest of a body that is answered already.
idle: the next request. ending: the caller to close.
"""


class Connection(Protocol):
    """A connection as its server's book sees it. since: when its deadline began to run, in the loop's time."""

    phase: Phase
    since: float

    def end_late(self) -> None:
        """End it: it has passed the deadline of its phase."""
        ...

    def make_room(self) -> None:
        """End it in favour of another."""
        ...

    def unread_since(self, now: float) -> float | None:
        """Tell since when the caller has taken nothing of what waits for it; None if nothing waits."""
        ...

    def is_closing(self) -> bool:
        """Tell whether it has been closed on our side."""
        ...


class ConnectionMetrics:
    """shouwang_<service>_http_connections and what happened to them; every label exists from the start."""

    CLOSED = ("head", "body", "idle", "unread", "room")

    def __init__(self, metrics: ServiceMetrics) -> None:
        self.open = metrics.gauge("http_connections", "Open HTTP connections")
        self.refused = metrics.counter("http_connections_refused_total", "Connections answered 503: all were in use")
        self.closed = metrics.counter(
            "http_connections_closed_total", "Connections closed for slowness or to make room", reason=self.CLOSED
        )
        self.errors = metrics.counter(
            "http_protocol_errors_total",
            "Requests that were refused before they reached the app",
            reason=[refusal.reason for refusal in PROTOCOL_ERRORS],
        )


class Connections:
    """Keeps each connection in the lane of its phase, longest wait first."""

    def __init__(self, limits: HttpLimits, metrics: ConnectionMetrics) -> None:
        self.limits = limits
        self.metrics = metrics
        self._waiting: OrderedDict[Connection, None] = OrderedDict()
        self._sending: OrderedDict[Connection, None] = OrderedDict()
        self._working: OrderedDict[Connection, None] = OrderedDict()
        self._ending: OrderedDict[Connection, None] = OrderedDict()
        self._lane_of: Mapping[Phase, OrderedDict[Connection, None]] = {
            "new": self._waiting,
            "head": self._waiting,
            "idle": self._waiting,
            "body": self._sending,
            "rest": self._sending,
            "work": self._working,
            "ending": self._ending,
        }
        self._shortest = min(limits.head_seconds, limits.body_seconds, limits.idle_seconds)
        self._look_every = min(LOOK_EVERY_SECONDS, self._shortest / 4)
        self._next_look: asyncio.TimerHandle | None = None
        metrics.open.set_function(self.__len__)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sending) + len(self._working) + len(self._ending)

    def admit(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> bool:
        """Take a new connection in; False if it must be told that all are in use."""
        has_room = len(self) - len(self._ending) < self.limits.max_connections or self._make_room(loop.time())
        self._waiting[connection] = None
        if self._next_look is None:
            self._next_look = loop.call_later(self._look_every, self._look, loop)
        if not has_room:
            self.metrics.refused.inc()
        return has_room

    def move(self, connection: Connection, phase: Phase, since: float) -> None:
        """Note that a connection now waits for something else, or for the same anew."""
        before, after = self._lane_of[connection.phase], self._lane_of[phase]
        if before is not after:
            before.pop(connection, None)
            after[connection] = None
        elif since != connection.since:
            after.move_to_end(connection)
        connection.phase, connection.since = phase, since
        if len(self._ending) > MAX_ENDING:
            self._ending.popitem(last=False)[0].end_late()

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._lane_of[connection.phase].pop(connection, None)

    def _make_room(self, now: float) -> bool:
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            oldest = next(iter(self._sending), None)
            if oldest is None or now - oldest.since < BODY_GRACE_SECONDS:
                return False
        self.metrics.closed.labels("room").inc()
        oldest.make_room()
        # The socket itself is closed later; until then the place must not be given twice.
        if oldest.phase != "ending":
            self.move(oldest, "ending", now)
        return True

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        is_crowded = len(self) >= CROWDED * self.limits.max_connections
        ended = 0
        for lane in (self._waiting, self._sending, self._working, self._ending):
            shortest = LAST_WORDS_SECONDS if lane is self._ending else self._shortest
            # The longest wait stands first: behind the first short one nobody is late.
            for connection in list(takewhile(lambda one: now - one.since >= shortest, lane)):  # noqa: B023
                ended += self._end_if_late(connection, now, is_crowded)
                if ended == END_AT_ONCE:
                    break
        look_after = LOOK_AGAIN_SECONDS if ended >= END_AT_ONCE else self._look_every
        self._next_look = loop.call_later(look_after, self._look, loop) if len(self) else None

    def _end_if_late(self, connection: Connection, now: float, is_crowded: bool) -> bool:
        limits, phase, waited = self.limits, connection.phase, now - connection.since
        unread_since = connection.unread_since(now)
        if phase != "ending" and connection.is_closing():
            self.move(connection, "ending", now)
            return False
        if unread_since is not None:
            reason, is_late = "unread", now - unread_since >= limits.write_seconds
        elif phase in ("new", "head"):
            reason, is_late = "head", waited >= limits.head_seconds
        elif phase in ("body", "rest"):
            reason, is_late = "body", waited >= limits.body_seconds
        elif phase == "idle":
            reason, is_late = "idle", waited >= (self._shortest if is_crowded else limits.idle_seconds)
        else:
            reason, is_late = "", phase == "ending"
        if is_late:
            if reason:
                self.metrics.closed.labels(reason).inc()
            connection.end_late()
        return is_late
