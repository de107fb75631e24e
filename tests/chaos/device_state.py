"""How the people's devices behave at the moment, and what they say came to them."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from tests.chaos.certificates import Certificate
from tests.chaos.journal import Journal
from tests.told import Message, Named

Channel = Literal["smtp", "webhook"]
Outcome = Literal["taken", "refused", "dropped"]

WEBHOOK_WORDS = frozenset({"ok", "refuse", "drop", "silent", "drip", "huge", "garbage", "reset_after_200"})
WEBHOOK_WORDS_WITH_MORE = frozenset({"redirect", "throttle"})
SMTP_WORDS = frozenset(
    {
        "ok",
        "refuse",
        "drop",
        "silent",
        "drip",
        "tempfail",
        "permfail",
        "permfail_data",
        "greylist",
        "cut_after_data",
        "no_starttls",
    }
)


@dataclass(slots=True)
class Modes:
    """What the devices do with what comes next. webhook_of: by staff_id, before `webhook`."""

    smtp: str = "ok"
    webhook: str = "ok"
    webhook_of: dict[str, str] = field(default_factory=dict)
    smtp_certificate: Certificate = "good"
    webhook_certificate: Certificate = "good"


@dataclass(frozen=True, slots=True)
class Told:
    """What a message said of itself; None where that did not come through. alerts: what a digest names."""

    staff: str | None = None
    alert_id: str | None = None
    message_id: str | None = None
    household: str | None = None
    alerts: tuple[Named, ...] = ()

    @classmethod
    def by(cls, staff: str | None, message_id: str | None, said: Message) -> Self:
        """What somebody was told by a message. alerts: only of a digest, which names several."""
        alerts = said.alerts if said.digest_id else ()
        return cls(staff, said.alert_id, message_id, said.household, alerts)


class Receipts:
    """Journals what came, and counts it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.counts: Counter[tuple[str, str]] = Counter()

    async def write(self, channel: Channel, outcome: Outcome, mode: str, told: Told, detail: str | None = None) -> None:
        """Put one line on disk; the sender is answered after it."""
        await self._journal.written(
            channel=channel,
            staff=told.staff,
            alert_id=told.alert_id,
            message_id=told.message_id,
            household=told.household,
            alerts=[[one.alert_id, one.household] for one in told.alerts],
            outcome=outcome,
            mode=mode,
            detail=detail,
        )
        self.counts[channel, outcome] += 1


class Tasks:
    """What the devices do for single connections. failure: the first that was a fault of ours, None if none was."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run beside everything else; to be called within the devices' loop."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def cancel(self) -> None:
        """End all that is still running."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            self.failure = self.failure or task.exception()


def check_webhook_mode(mode: str) -> str:
    """Pass a mode on. Raises ValueError for one that the receivers do not know."""
    word, _, more = mode.partition(":")
    status = word.isdecimal() and 300 <= int(word) <= 599
    if status or (mode in WEBHOOK_WORDS) or (word in WEBHOOK_WORDS_WITH_MORE and more):
        return mode
    raise ValueError(f"the webhook receivers know no mode {mode!r}")


def check_smtp_mode(mode: str) -> str:
    """Pass a mode on. Raises ValueError for one that the mail server does not know."""
    if mode in SMTP_WORDS:
        return mode
    raise ValueError(f"the mail server knows no mode {mode!r}")


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Break a connection off so that the other side sees a reset, not an end."""
    assert isinstance(transport, asyncio.WriteTransport)
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
