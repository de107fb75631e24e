"""Time as an input: only shells ask a clock, the core receives `now` or a day."""

from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Tells the present instant. Source of every `now` in the services."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SettableClock:
    """A clock that stands where it is put; for tests and rehearsals."""

    def __init__(self, now: datetime) -> None:
        self._now = now.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def move(self, step: timedelta) -> None:
        """Put the clock forward (or back, for a negative step)."""
        self._now += step


def day_of(instant: datetime) -> date:
    """Return the Asia/Shanghai calendar day of an aware instant; the rules count in these days."""
    if instant.tzinfo is None:
        raise ValueError("an instant without a time zone has no day")
    return instant.astimezone(SHANGHAI).date()


def to_rfc3339(instant: datetime) -> str:
    """Write an aware instant as RFC 3339 in UTC with milliseconds, such as 2026-03-02T01:30:00.250Z."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
