"""Who wrote which position when (I9): a log that a trigger keeps in the database under test, and how it is judged.

Writers of one position wait for one another at its row, so the log's order within a position is that of the commits; a
write that is rolled back leaves no line.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from tests.chaos.checker.verdict import Findings

POSITION_LOG_DDL: tuple[str, ...] = (
    """
    CREATE TABLE chaos_position_log (
        position_log_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        consumer_group text NOT NULL,
        topic text NOT NULL,
        partition integer NOT NULL,
        epoch bigint NOT NULL,
        next_offset bigint,
        owner text NOT NULL,
        written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        txid bigint NOT NULL DEFAULT txid_current(),
        application text NOT NULL DEFAULT current_setting('application_name')
    )
    """,
    """
    CREATE FUNCTION chaos_log_position() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO chaos_position_log (consumer_group, topic, partition, epoch, next_offset, owner)
        VALUES (NEW.consumer_group, NEW.topic, NEW.partition, NEW.epoch, NEW.next_offset, NEW.owner);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER chaos_position_log AFTER INSERT OR UPDATE ON partition_position
    FOR EACH ROW EXECUTE FUNCTION chaos_log_position()
    """,
)
"""Statements to run, in this order, in a migrated database."""


PUT_BACK_SECONDS = 30.0
"""So long after the nemesis says so, a backup may still be coming back."""


class PositionWrite(NamedTuple):
    """One committed write of a position. application: who wrote, as its connection calls itself."""

    position_log_id: int
    consumer_group: str
    topic: str
    partition: int
    epoch: int
    next_offset: int | None
    owner: str
    written_at: datetime
    application: str = ""

    @property
    def at(self) -> float:
        """When it was written, in unix seconds."""
        return self.written_at.timestamp()

    def __str__(self) -> str:
        return f"{self.consumer_group}/{self.topic}/{self.partition}#{self.position_log_id}"


def judge_positions(
    writes: Iterable[PositionWrite], restored_at: Sequence[float], since: float, findings: Findings
) -> None:
    """Convict writes by a former owner, and positions that went back other than by a restored backup.

    since: unix seconds; what happened earlier belongs to an earlier run and only says where this one began.
    """
    lanes: dict[tuple[str, str, int], list[PositionWrite]] = defaultdict(list)
    for write in sorted(writes):
        lanes[write.consumer_group, write.topic, write.partition].append(write)
    for lane in lanes.values():
        for before, write in pairwise(lane):
            put_back = any(0 <= write.at - at <= PUT_BACK_SECONDS for at in restored_at)
            if write.at >= since and not put_back and (why := _wrong(before, write)):
                findings.convict("stale_owner", str(write), why)


def _wrong(before: PositionWrite, write: PositionWrite) -> str | None:
    if write.epoch < before.epoch:
        return f"epoch {write.epoch} was written after epoch {before.epoch}"
    if write.epoch == before.epoch and write.owner != before.owner:
        return f"{write.owner} wrote under the epoch of {before.owner}"
    if write.next_offset != before.next_offset and _is_other(write.application, write.owner):
        return f"{write.application} moved a position of {write.owner}"
    if before.next_offset is not None and (write.next_offset is None or write.next_offset < before.next_offset):
        return f"offset {write.next_offset} was written after offset {before.next_offset}"
    return None


def _is_other(application: str, owner: str) -> bool:
    """Whether a service of ours wrote that is not the owner; services call their connections "shouwang-scorer NAME"."""
    return application.startswith("shouwang-") and not application.endswith(f" {owner}")
