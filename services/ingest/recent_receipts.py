"""Remembers the newest receipts, so that the sender of an event hears of it before the scorer has passed it."""

import random
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from shared.bus.ports import Receipt

# One id under ever new sources must not grow a single entry without end.
MAX_SOURCES = 8


class RecentReceipt(NamedTuple):
    """Where the log keeps an event, and when it was received (RFC 3339)."""

    receipt: Receipt
    household_id: str
    recorded_at: str


@dataclass(frozen=True, slots=True)
class GivenReceipt:
    """A receipt with the event's identity."""

    source: str
    event_id: str
    partition: int
    offset: int


class RecentReceipts:
    """A bounded memory of this process; the oldest event is forgotten first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._known: OrderedDict[tuple[str, str], dict[str, RecentReceipt]] = OrderedDict()

    def remember(self, key_id: str, event_id: str, source: str, recent: RecentReceipt) -> None:
        """Note a receipt; a repeat of an event replaces the older one."""
        sources = self._known.pop((key_id, event_id), {})
        sources.pop(source, None)
        sources[source] = recent
        if len(sources) > MAX_SOURCES:
            del sources[next(iter(sources))]
        self._known[key_id, event_id] = sources
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def of(self, key_id: str, event_id: str) -> Mapping[str, RecentReceipt]:
        """Return the receipts of an event id that this key sent, by source."""
        return self._known.get((key_id, event_id), {})

    def sample(self, most: int) -> list[GivenReceipt]:
        """Return some receipts, chosen at random."""
        keys = random.sample(list(self._known), min(most, len(self._known)))
        return [
            GivenReceipt(source, event_id, *recent.receipt)
            for key_id, event_id in keys
            for source, recent in self._known[key_id, event_id].items()
        ]
