"""What the services ask of a partitioned, ordered log. `kafka.py` answers it with aiokafka."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from shared.errors import PartitionHalted
from shared.topics import Topic


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class Claim(NamedTuple):
    """Ownership of a partition, as the database granted it.

    next_offset: the offset to read next; None for a partition that this consumer group has never read.
    """

    epoch: int
    next_offset: int | None


class Record(NamedTuple):
    """One record as it stands on the log. key and value are None where the writer gave none."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class PartitionBatch:
    """Consecutive records of one partition, first at or after `claim.next_offset`.

    read: what the handler has made of the first of them while it waited for the batch before; often nothing.
    """

    partition: TopicPartition
    claim: Claim
    records: Sequence[Record]
    read: Sequence[Any] = ()

    @property
    def first_offset(self) -> int:
        """The offset of the first record."""
        return self.records[0].offset

    @property
    def next_offset(self) -> int:
        """The offset to read after this batch."""
        return self.records[-1].offset + 1


Errand = Callable[[Claim], Awaitable[None]]
"""A piece of work that only a partition's owner may do, between two of its batches. Raises TemporaryFailure."""


class Waiting(NamedTuple):
    """What a partition's owner has not applied yet.

    since_ms: when the record that is next in turn was written, Unix milliseconds. next_offset: of that record. tenure:
    the same for as long as nobody else can have owned the partition, and the position can only have grown.
    """

    since_ms: int
    next_offset: int
    tenure: object


class GapInLog(PartitionHalted):
    """Records between our position and the next that the log has are gone; going on would skip events."""

    def __init__(self, partition: TopicPartition, detail: str, *, reason: str = "gap_in_log") -> None:
        super().__init__(reason, f"{partition}: {detail}")
        self.partition = partition


class Receipt(NamedTuple):
    """Where a quorum of the log keeps a record."""

    partition: int
    offset: int


class Publisher(Protocol):
    """Puts records on the log."""

    async def publish(self, topic: Topic, key: str, value: bytes, *, within_seconds: float) -> Receipt:
        """Put one record on the log; returned only once a quorum has it.

        Raises TemporaryFailure when that is not known within the time. The record may be on the log all the same.
        """
        ...

    async def check(self) -> None:
        """Make a round trip to the log. Raises TemporaryFailure."""
        ...


class LogConsumer(Protocol):
    """Reads the partitions that the consumer group gives to this process.

    A partition that was just assigned is held back until `begin` says where to read it.
    """

    def assignment(self) -> frozenset[TopicPartition]:
        """Return the partitions that are ours now."""
        ...

    def generation(self) -> int:
        """Return a number that grows with each new assignment, also one that gives the same partitions back."""
        ...

    async def fetch(self, max_records: int, wait_seconds: float) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return what has arrived for the partitions that were begun, at most `max_records` in all. Raises GapInLog."""
        ...

    async def begin(self, partition: TopicPartition, offset: int | None) -> None:
        """Read the partition from this offset on (None: from its beginning). Raises TemporaryFailure."""
        ...

    def hold(self, partition: TopicPartition) -> None:
        """Fetch nothing of this partition until `begin`; where that goes on at the same place, little is lost."""
        ...

    def end_offset(self, partition: TopicPartition) -> int | None:
        """Return the offset after the last record, as of the last fetch; None while unknown."""
        ...

    async def ask_end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Ask the log for the offset after each partition's last record. Raises TemporaryFailure."""
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Tell the group's coordinator how far we are; advice for operators' tools, nothing depends on it."""
        ...


class LogReader(Protocol):
    """Reads stretches of partitions and moves nobody's position."""

    def read(self, partition: TopicPartition, start: int, end: int) -> AsyncIterator[Sequence[Record]]:
        """Give the records from offset start to before end, some at a time. Raises TemporaryFailure."""
        ...


class BatchHandler(Protocol):
    """What a service does with the records of a partition."""

    async def claim(self, partition: TopicPartition) -> Claim:
        """Become the partition's owner. Raises TemporaryFailure."""
        ...

    async def handle(self, batch: PartitionBatch) -> None:
        """Apply a batch and move the position, in one transaction. Batches of other partitions may run beside it.

        Raises TemporaryFailure, LostOwnership; PartitionHalted where only a person can tell how to go on.
        """
        ...

    async def caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        """Use the time while nothing is left to read. Answer True if there is more to do at once."""
        ...
