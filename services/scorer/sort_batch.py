"""What is to be done with each record of a batch: apply it, pass over what is known, or put it in quarantine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.scorer.read_record import ReceivedEvent, RefusedRecord
from services.scorer.store import KnownEvent, StateRow
from shared.bus.ports import PartitionBatch
from shared.db.positions import Fates

PartitionOf = Callable[[str], int]
"""Tells on which partition of the topic the records of a household belong."""

# A sender can bring this about as often as he likes, so it must not be able to stop a partition.
UNCOUNTED_REASONS = ("CONFLICTING_DUPLICATE",)


@dataclass(slots=True)
class SortedBatch:
    """The records of a batch, by what is to be done with them.

    overtaken: how many were applied ahead of their turn; the ledger has them from this very place.
    """

    fresh: dict[str, list[ReceivedEvent]] = field(default_factory=dict)
    refused: list[RefusedRecord] = field(default_factory=list)
    repeats: int = 0
    overtaken: int = 0

    def fates(self) -> Fates:
        """What becomes of the records."""
        applied = sum(map(len, self.fresh.values())) + self.overtaken
        return Fates(applied=applied, repeated=self.repeats, quarantined=len(self.refused))


def refuse_strays(
    batch: PartitionBatch,
    read: Sequence[ReceivedEvent | RefusedRecord],
    stored: Mapping[str, StateRow],
    partition_of: PartitionOf,
) -> list[ReceivedEvent | RefusedRecord]:
    """Refuse events that somebody wrote to a partition on which their household does not belong.

    Two partitions would write one household, each in an order of its own. A household that is stored from this
    partition already needs no proof: working the place out takes microseconds.
    """
    here = batch.partition.partition
    homes: dict[str, int] = {}
    for one in read:
        if isinstance(one, ReceivedEvent) and one.household_id not in homes:
            row = stored.get(one.household_id)
            at_home = row is not None and row.topic_partition == here
            homes[one.household_id] = here if at_home else partition_of(one.household_id)
    return [
        _refused(batch, at, one, "WRONG_PARTITION", f"its key belongs on partition {homes[one.household_id]}")
        if isinstance(one, ReceivedEvent) and homes[one.household_id] != here
        else one
        for at, one in enumerate(read)
    ]


def sort_batch(
    batch: PartitionBatch, read: Sequence[ReceivedEvent | RefusedRecord], known: Mapping[bytes, KnownEvent]
) -> SortedBatch:
    """Tell first deliveries from repeats, and repeats from other events that use the same identity.

    known: by identity, what the ledger has.
    """
    here = batch.partition.partition
    work, seen = SortedBatch(), dict(known)
    for at, one in enumerate(read):
        if isinstance(one, RefusedRecord):
            work.refused.append(one)
        elif one.identity not in seen:
            seen[one.identity] = KnownEvent(one.content_hash, here, one.offset)
            work.fresh.setdefault(one.household_id, []).append(one)
        elif seen[one.identity] == (one.content_hash, here, one.offset):
            work.overtaken += 1
        elif seen[one.identity].content_hash == one.content_hash:
            work.repeats += 1
        else:
            detail = "another event came first under this source and id"
            work.refused.append(_refused(batch, at, one, "CONFLICTING_DUPLICATE", detail))
    return work


def _refused(batch: PartitionBatch, at: int, event: ReceivedEvent, reason: str, detail: str) -> RefusedRecord:
    return RefusedRecord(
        batch.records[at], reason, detail, event.event.source, event.event.event_id, event.household_id, event.key_id
    )
