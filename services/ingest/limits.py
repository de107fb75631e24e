"""What one process takes on at once: so many bytes in all, so many requests of one key. Beyond that it says so."""

from collections import Counter
from typing import Self

from shared.errors import RefusedRequest

RETRY_LOG_SECONDS = 2
RETRY_BUSY_SECONDS = 1


class InFlight:
    """Counts what is under way; nothing ever waits here, so nothing piles up.

    bytes: of all requests together. A request counts with what has arrived of its body, not with what it announces
    (else a few slow callers could keep everybody out), and then with the records that it puts on the log.
    """

    def __init__(self, *, max_bytes: int, max_requests_per_key: int) -> None:
        self._max_bytes = max_bytes
        self._max_requests_per_key = max_requests_per_key
        self._requests: Counter[str] = Counter()
        self.bytes = 0

    def request_of(self, key_id: str) -> "Held":
        """Return the block in which a request of a key is served; entering it raises RefusedRequest (429)."""
        return Held(self, key_id)

    def begin(self, key_id: str) -> None:
        """Count one more request of a key. Raises RefusedRequest (429)."""
        if self._requests[key_id] >= self._max_requests_per_key:
            raise RefusedRequest(
                "too-many-requests",
                f"at most {self._max_requests_per_key} requests of one key are served at once",
                retry_after_seconds=RETRY_BUSY_SECONDS,
            )
        self._requests[key_id] += 1

    def end(self, key_id: str) -> None:
        """Count one request of a key less."""
        self._requests[key_id] -= 1
        if not self._requests[key_id]:
            del self._requests[key_id]

    def take(self, size: int) -> None:
        """Count more bytes (or fewer, for a negative size). Raises RefusedRequest (503)."""
        if size > 0 and self.bytes + size > self._max_bytes:
            raise RefusedRequest(
                "log-unavailable",
                "too much is waiting for the log; nothing of this request was sent",
                retry_after_seconds=RETRY_LOG_SECONDS,
            )
        self.bytes += size


class Held:
    """A request while it is served, and the bytes that it holds."""

    __slots__ = ("_in_flight", "_key_id", "_size")

    def __init__(self, in_flight: InFlight, key_id: str) -> None:
        self._in_flight = in_flight
        self._key_id = key_id
        self._size = 0

    def __enter__(self) -> Self:
        self._in_flight.begin(self._key_id)
        return self

    def __exit__(self, *_: object) -> None:
        self.become(0)
        self._in_flight.end(self._key_id)

    def grow(self, size: int) -> None:
        """Hold more. Raises RefusedRequest (503)."""
        self._in_flight.take(size)
        self._size += size

    def become(self, size: int) -> None:
        """Hold this much instead of what was held. Raises RefusedRequest (503)."""
        self.grow(size - self._size)
