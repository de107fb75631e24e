"""When nobody can be told by anything any more: then a siren outside this system has to call for help."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notifier.core.retries import Attempt, is_outage
from shared.alerts import ChannelName

SILENCE_BEFORE_SIREN = timedelta(minutes=2)


def is_channels_fault(attempt: Attempt) -> bool:
    """Tell whether a failed attempt speaks against the whole channel and not against one person's address.

    A mailbox that is full or wants us back later (SMTP 4xx) is one person's; a relay that closes (421) is everybody's.
    """
    if attempt.receipt is not None or attempt.permanent:
        return False
    return is_outage(attempt.code) or not attempt.code.startswith("smtp_4")


@dataclass(frozen=True, slots=True)
class Outage:
    """failing_since: per channel that has been used, when it began to fail; None while it works. told: by the siren."""

    failing_since: Mapping[ChannelName, datetime | None]
    told: bool = False

    def after(self, channel: ChannelName, *, failed: bool, now: datetime) -> "Outage":
        """Note how an attempt ended."""
        since = (self.failing_since.get(channel) or now) if failed else None
        return Outage({**self.failing_since, channel: since}, self.told and failed)

    def is_total(self, now: datetime) -> bool:
        """Tell whether every channel that was used has been failing for too long."""
        since: Collection[datetime | None] = self.failing_since.values()
        return bool(since) and all(one is not None and now - one >= SILENCE_BEFORE_SIREN for one in since)
