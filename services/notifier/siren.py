"""A last call for help that needs neither network nor database: lines in a file that something else watches.

One JSON object a line, on the disk before it counts. A file that cannot be written is logged; it never stops the work.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from services.notifier.core.outage import Outage, is_channels_fault
from services.notifier.core.retries import Attempt
from services.notifier.metrics import NotifierMetrics
from shared.alerts import ChannelName
from shared.clock import Clock, to_rfc3339
from shared.lifecycle import every
from shared.logs import get_logger

log = get_logger(__name__)

LOOK_SECONDS = 5.0


class Call(StrEnum):
    """Why the siren sounds."""

    UNREACHABLE_ALERT = "unreachable_alert"
    NO_CHANNEL_WORKS = "no_channel_works"


class Siren:
    """Sounds by appending to a file; without one it only counts."""

    def __init__(self, file: Path | None, clock: Clock, metrics: NotifierMetrics) -> None:
        self._file = file
        self._clock = clock
        self._metrics = metrics
        self._outage = Outage({})
        self._writing = asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch the channels; a supervised task."""
        await every(LOOK_SECONDS, self.watch, stop)

    def ended(self, channel: ChannelName, attempt: Attempt) -> None:
        """Note how an attempt ended. One that speaks neither for the channel nor against it changes nothing."""
        failed = is_channels_fault(attempt)
        if failed or attempt.receipt is not None:
            self._outage = self._outage.after(channel, failed=failed, now=self._clock.now())

    async def watch(self) -> bool:
        """Sound once for each time that no channel works for two minutes."""
        if not self._outage.told and self._outage.is_total(self._clock.now()):
            self._outage = replace(self._outage, told=True)
            since = max(one for one in self._outage.failing_since.values() if one is not None)
            channels = [str(one) for one in self._outage.failing_since]
            await self._sound(Call.NO_CHANNEL_WORKS, [{"channels": channels, "since": to_rfc3339(since)}])
        return False

    async def unreachable(self, alerts: Sequence[tuple[str, str]]) -> None:
        """Sound for alerts that nobody could be told of: alert_id and division of each."""
        await self._sound(
            Call.UNREACHABLE_ALERT, [{"alert_id": alert_id, "division": division} for alert_id, division in alerts]
        )

    async def _sound(self, call: Call, facts: Sequence[dict[str, object]]) -> None:
        if not facts:
            return
        self._metrics.siren.labels(call).inc(len(facts))
        if self._file is None:
            return
        at = to_rfc3339(self._clock.now())
        lines = "".join(json.dumps({"at": at, "call": call, **one}) + "\n" for one in facts)
        try:
            async with self._writing:
                await asyncio.to_thread(_append, self._file, lines)
        except OSError as error:
            self._metrics.siren_unwritten.inc()
            log.error("the siren's file cannot be written", call=call, reason=error.strerror)


def _append(file: Path, lines: str) -> None:
    with file.open("a", encoding="utf-8") as siren:
        siren.write(lines)
        siren.flush()
        os.fsync(siren.fileno())
