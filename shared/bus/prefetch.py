"""Records of one partition that have arrived and wait for their transaction: in order, without a hole, and bounded."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any

from shared.bus.ports import GapInLog, Record, TopicPartition

ReadAhead = Callable[[Sequence[Record]], Awaitable[Sequence[Any]]]
"""Makes of each record what the batch handler needs of it; nothing may come of it yet."""

READ_AT_ONCE = 100


class Prefetch:
    """What was fetched of one partition and not handed over yet.

    most_records, most_bytes: where fetching should stop; what has just been asked for may still come on top of it.
    next_offset: of the record that is to arrive next; None while any will do.
    gap: records before the next one are missing. All that came before it is still handed over.
    """

    def __init__(self, partition: TopicPartition, *, most_records: int, most_bytes: int) -> None:
        self._partition = partition
        self._most_records = most_records
        self._most_bytes = most_bytes
        self.begin(None)

    def begin(self, next_offset: int | None) -> None:
        """Forget everything and start at an offset."""
        self._records: list[Record] = []
        # What was made of the first records while there was time.
        self._read: list[Any] = []
        self._bytes = 0
        self.next_offset = next_offset
        self.gap: GapInLog | None = None

    def __len__(self) -> int:
        return len(self._records)

    @property
    def oldest_ms(self) -> int | None:
        """When the record that is next was written, Unix milliseconds; None while there is none."""
        return self._records[0].timestamp_ms if self._records else None

    @property
    def is_full(self) -> bool:
        """Whether no more should be fetched."""
        return self.gap is not None or len(self) >= self._most_records or self._bytes >= self._most_bytes

    @property
    def has_room(self) -> bool:
        """Whether it is worth while to fetch again."""
        return self.gap is None and len(self) <= self._most_records // 2 and self._bytes <= self._most_bytes // 2

    def add(self, records: Sequence[Record]) -> None:
        """Take what has arrived; older records are passed over, and from a hole on nothing is taken any more."""
        expected = self.next_offset
        fresh = records if expected is None else [record for record in records if record.offset >= expected]
        if not fresh or self.gap is not None:
            return
        expected = fresh[0].offset if expected is None else expected
        last = fresh[-1].offset
        if fresh[0].offset != expected or last - expected != len(fresh) - 1:
            self.gap = GapInLog(self._partition, f"records are missing between {expected} and {last}")
            return
        self._records.extend(fresh)
        self._bytes += sum(map(_size, fresh))
        self.next_offset = last + 1

    def take(self, most_records: int, most_bytes: int) -> tuple[Sequence[Record], Sequence[Any]]:
        """Remove and return the oldest records, one at least, and what was made of the first of them."""
        count = taken_bytes = 0
        for record in islice(self._records, most_records):
            size = _size(record)
            if count and taken_bytes + size > most_bytes:
                break
            count += 1
            taken_bytes += size
        records, self._records = self._records[:count], self._records[count:]
        read, self._read = self._read[:count], self._read[count:]
        self._bytes -= taken_bytes
        return records, read

    async def read_on(self, read_ahead: ReadAhead, most: int) -> None:
        """Read up to `most` records ahead. May be cancelled at any time; nothing else may be taken meanwhile."""
        while (start := len(self._read)) < min(most, len(self._records)):
            made = await read_ahead(self._records[start : min(start + READ_AT_ONCE, most)])
            self._read.extend(made)


def _size(record: Record) -> int:
    return len(record.key or b"") + len(record.value or b"")
