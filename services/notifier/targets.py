"""What this process knows of each receiver: how many sends are under way, and how it fares."""

from collections import Counter
from datetime import datetime, timedelta

from services.notifier.core.breaker import Breaker
from services.notifier.core.retries import SENT, is_outage
from services.notifier.store.deliveries import NOT_TRIED

# After one of these a host gets one message at a time until it takes one.
SIGNS_OF_TROUBLE = frozenset({"timeout", "connection_refused", "no_such_host", "disconnected", "bad_reply", "tls"})


class Targets:
    """How many sends are under way to each target, and how many may be."""

    def __init__(self, share: int, probe_seconds: float) -> None:
        self._share = share
        self._pause = timedelta(seconds=probe_seconds)
        self._under_way: Counter[str] = Counter()
        self._troubled: set[str] = set()
        self._out: set[str] = set()
        self._breakers: dict[str, Breaker] = {}

    def room(self, target: str, now: datetime) -> int:
        """Return how many sends may begin."""
        breaker = self._breakers.get(target, Breaker())
        if not breaker.lets_through(now):
            return 0
        alone = breaker.is_broken or target in self._troubled
        return max(0, (1 if alone else self._share) - self._under_way[target])

    def take(self, target: str, now: datetime) -> bool:
        """Begin a send, unless the target has its share or is left alone."""
        if not self.room(target, now):
            return False
        self._under_way[target] += 1
        if target in self._breakers:
            self._breakers[target] = self._breakers[target].begun(now, self._pause)
        return True

    def give_back(self, target: str, attempt_code: str, now: datetime) -> bool:
        """End a send and remember how the target fares; True when it has just come back from an outage."""
        self._under_way[target] -= 1
        if not self._under_way[target]:
            del self._under_way[target]
        if attempt_code == NOT_TRIED:
            return False
        if attempt_code in SIGNS_OF_TROUBLE:
            self._troubled.add(target)
        else:
            self._troubled.discard(target)
        if is_outage(attempt_code):
            self._out.add(target)
            before = self._breakers.get(target, Breaker())
            self._breakers[target] = before.ended(outage=True, now=now, pause=self._pause)
            return False
        self._breakers.pop(target, None)
        came_back = attempt_code == SENT and target in self._out
        if came_back:
            self._out.remove(target)
        return came_back

    def busy(self, now: datetime) -> list[str]:
        """Return the targets to which nothing may begin now."""
        known = {*self._under_way, *self._breakers}
        return [target for target in known if not self.room(target, now)]

    def broken(self) -> int:
        """Count the targets that get no more than probes."""
        return sum(breaker.is_broken for breaker in self._breakers.values())
