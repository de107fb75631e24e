"""The topics: name, key, partitions, retention. The one list; `shouwang-ingest topics` creates what is missing.

Never enlarge a live topic: keys would move to other partitions and the order of a household would break.
Make a new topic (`….v2`) and move over instead.
"""

from dataclasses import dataclass, field, replace
from typing import Self

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """One Kafka topic.

    key: what the record key holds. retention_days: None = for ever (compacted topics keep the latest per key).
    """

    name: str
    key: str
    partitions: int
    retention_days: int | None
    compacted: bool = False
    extra: dict[str, str] = field(default_factory=dict)

    def prefixed(self, prefix: str) -> Self:
        """Return the topic as it is called on a cluster that several installations share."""
        return replace(self, name=prefix + self.name)

    def config(self, replication: int) -> dict[str, str]:
        """Return the broker-side settings; with three replicas, two must have a record before it is acknowledged."""
        settings = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": str(-1 if self.retention_days is None else self.retention_days * DAY_MS),
            "min.insync.replicas": str(2 if replication >= 3 else 1),
            "unclean.leader.election.enable": "false",
            "max.message.bytes": str(1_048_576 + 65_536),
        }
        return settings | self.extra


HOUSEHOLD_EVENTS = Topic("household.events.v1", "household_id", partitions=12, retention_days=30)
GRADE_CHANGES = Topic("household.grade-changes.v1", "household_id", partitions=6, retention_days=30)
GRADES = Topic("household.grades.v1", "household_id", partitions=6, retention_days=None, compacted=True)
AREA_ALARMS = Topic("area.alarms.v1", "division", partitions=3, retention_days=30)

ALL_TOPICS = (HOUSEHOLD_EVENTS, GRADE_CHANGES, GRADES, AREA_ALARMS)
