"""One connection through a proxy: two sides, and what the link's toxics do to the bytes between them."""

import asyncio
import enum
import random
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from deploy.local.ports import LOOPBACK

if TYPE_CHECKING:
    from tests.chaos.proxy import Link

SLICE_BYTES = 16 * 1024  # what a slow link passes on at once, so that its connections take turns
QUEUE_BYTES = 1024 * 1024  # what waits for its time at most, before we stop reading
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Hold(enum.Flag):
    """Why nothing is read from a side."""

    NOTHING = 0
    OTHER_SIDE_FULL = enum.auto()
    BLACKHOLE = enum.auto()
    QUEUE_FULL = enum.auto()
    NOT_CONNECTED = enum.auto()


@dataclass(slots=True)
class Toxics:
    """What is wrong with a link. Seconds, bytes per second, probability per second."""

    blackhole: bool = False
    drop_replies: bool = False
    delay: float = 0.0
    jitter: float = 0.0
    rate: float = 0.0
    chance: random.Random = field(default_factory=random.Random)
    free_at: dict[bool, float] = field(default_factory=lambda: {False: 0.0, True: 0.0})
    """When a limited link is free again, for requests (False) and answers (True)."""

    def due(self, is_answer: bool, size: int, now: float) -> float:
        """Say when bytes that came in now have gone out."""
        if self.rate:
            now = max(now, self.free_at[is_answer]) + size / self.rate
            self.free_at[is_answer] = now
        if is_answer and self.delay:
            now += max(0.0, self.delay + self.chance.uniform(-self.jitter, self.jitter))
        return now


class Side(asyncio.Protocol):
    """One end of a connection: what is read here goes out at the other end."""

    other: "Side"

    def __init__(self, link: "Link", target: int, *, is_answer: bool) -> None:
        self._link = link
        self._target = target
        self._is_answer = is_answer
        self._queue: deque[tuple[float, bytes | None]] = deque()
        self._queued = 0
        self._kept: list[bytes | None] = []
        self._timer: asyncio.TimerHandle | None = None
        self._hold = Hold.NOTHING
        self._ended = False
        self._lost_bytes = False
        self._connecting = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if not self._is_answer:
            self.other = Side(self._link, self._target, is_answer=True)
            self.other.other = self
            self._hold |= Hold.NOT_CONNECTED
            self._link.came(self)

    async def connect_on(self) -> None:
        """Reach the server for a client that has come. A server that is not there breaks the client's connection."""
        loop = asyncio.get_running_loop()
        self._connecting = True
        try:
            await loop.create_connection(lambda: self.other, LOOPBACK, self._target)
        except OSError:
            self.reset()
        else:
            if self.transport is None or self.transport.is_closing():  # gone while we were on the way
                self.reset()
            self.let_go(Hold.NOT_CONNECTED)

    @property
    def waits(self) -> bool:
        """Whether nobody has tried to reach the server for this client yet."""
        return not self._connecting

    def data_received(self, data: bytes) -> None:
        if self._hold:
            self._keep(data)
        elif self._link.plain and not self._queue:
            self._send(data)
        elif self._is_answer and self._link.toxics.drop_replies:
            self._lost_bytes = True
            self._link.dropped += len(data)
        else:
            self._queue_up(data)

    def eof_received(self) -> bool:
        if self._hold:
            self._keep(None)
            return True
        self._ended = True
        if self._queue:
            self._queue.append((self._queue[-1][0], None))
        else:
            self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._queue.clear()
        if exc is not None and self.other.transport is not None:
            reset(self.other.transport)
        elif self.other.transport is not None:
            self.other.transport.close()
        if not self._is_answer:
            self._link.went(self)

    def pause_writing(self) -> None:
        self.other._hold_back(Hold.OTHER_SIDE_FULL)

    def resume_writing(self) -> None:
        self.other.let_go(Hold.OTHER_SIDE_FULL)

    def reset(self) -> None:
        """Break the connection at both ends."""
        for side in (self, self.other):
            if side.transport is not None:
                reset(side.transport)

    def hold_both(self) -> None:
        """Read nothing from either side."""
        self._hold_back(Hold.BLACKHOLE)
        self.other._hold_back(Hold.BLACKHOLE)

    def heal_both(self) -> bool:
        """Go on as an honest connection; False when bytes of it were thrown away, so that it cannot."""
        if self.other._lost_bytes:
            self.reset()
            return False
        for side in (self, self.other):
            side._flush_all()
            side.let_go(Hold.BLACKHOLE)
        return True

    def let_go(self, reason: Hold) -> None:
        """Read on, unless there is another reason not to."""
        before, self._hold = self._hold, self._hold & ~reason
        if before and not self._hold and self.transport is not None and not self.transport.is_closing():
            kept, self._kept = self._kept, []
            for data in kept:
                self.eof_received() if data is None else self.data_received(data)
            if not self._hold:
                self.transport.resume_reading()

    def _hold_back(self, reason: Hold) -> None:
        before, self._hold = self._hold, self._hold | reason
        if not before and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def _keep(self, data: bytes | None) -> None:
        # uvloop begins to read after `connection_made`, whatever was said there: the first bytes may come too early.
        self._kept.append(data)
        if self.transport is not None:
            self.transport.pause_reading()

    def _send(self, data: bytes) -> None:
        out = self.other.transport
        if out is not None and not out.is_closing():
            self._link.bytes += len(data)
            out.write(data)

    def _end(self) -> None:
        out = self.other.transport
        if self.other._ended:
            for side in (self, self.other):
                if side.transport is not None:
                    side.transport.close()
        elif out is not None and not out.is_closing():
            out.write_eof()

    def _queue_up(self, data: bytes) -> None:
        loop, toxics = asyncio.get_running_loop(), self._link.toxics
        for start in range(0, len(data), SLICE_BYTES):
            part = data[start : start + SLICE_BYTES]
            due = toxics.due(self._is_answer, len(part), loop.time())
            # Bytes stay in order, whatever the jitter says.
            self._queue.append((max(due, self._queue[-1][0]) if self._queue else due, part))
        self._queued += len(data)
        if self._queued > QUEUE_BYTES:
            self._hold_back(Hold.QUEUE_FULL)
        if self._timer is None:
            self._flush_due()

    def _flush_due(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._queue and self._queue[0][0] <= now:
            self._send_next()
        if self._queued <= QUEUE_BYTES:
            self.let_go(Hold.QUEUE_FULL)
        if self._queue:
            self._timer = asyncio.get_running_loop().call_at(self._queue[0][0], self._flush_due)

    def _flush_all(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            self._send_next()
        self.let_go(Hold.QUEUE_FULL)

    def _send_next(self) -> None:
        _, part = self._queue.popleft()
        if part is None:
            self._end()
        else:
            self._queued -= len(part)
            self._send(part)


def reset(transport: asyncio.Transport) -> None:
    """Close a connection with RST instead of FIN, so that the peer's next read fails."""
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
