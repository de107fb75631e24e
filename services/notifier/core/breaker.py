"""Leave a receiver that is out alone, but for a probe now and then: it comes back sooner, and others get their turn."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

OUTAGES_BEFORE_BREAK = 5


@dataclass(frozen=True, slots=True)
class Breaker:
    """One receiver's record. outages: in a row. probe_at: when the next try may be made once there were too many."""

    outages: int = 0
    probe_at: datetime | None = None

    @property
    def is_broken(self) -> bool:
        """Whether only probes are let through."""
        return self.outages >= OUTAGES_BEFORE_BREAK

    def lets_through(self, now: datetime) -> bool:
        """Tell whether a send may begin."""
        return not self.is_broken or self.probe_at is None or now >= self.probe_at

    def begun(self, now: datetime, pause: timedelta) -> "Breaker":
        """Note that a send begins; while broken it is a probe, and the next one waits."""
        return replace(self, probe_at=now + pause) if self.is_broken else self

    def ended(self, *, outage: bool, now: datetime, pause: timedelta) -> "Breaker":
        """Note how a send ended."""
        if not outage:
            return Breaker()
        outages = self.outages + 1
        # The outage that breaks it starts the pause; sends that were under way beside it change nothing.
        just_broken = outages == OUTAGES_BEFORE_BREAK
        return Breaker(outages, now + pause if just_broken else self.probe_at)
