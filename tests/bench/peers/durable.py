"""What of an entrant's work is safe: where it would go on after a kill, and what it then remembers.

Both are read from where the entrant itself would read them on its next start, never from the entrant.
"""

import json
import pickle
import sqlite3
import struct
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from tests.bench.peers.log import PeersLog
from tests.bench.peers.place import EntrantPlace
from tests.bench.peers.toy import State

Counters = dict[str, State]


@dataclass(frozen=True, slots=True)
class Safe:
    """next_offsets: by partition. alerts_wait: whether some are stored, but not on the topic yet."""

    next_offsets: Mapping[int, int]
    alerts_wait: bool = False

    def events(self, ends: Mapping[int, int]) -> int:
        """How many events have had their whole effect; all of them only when no alert waits."""
        reached = sum(min(self.next_offsets.get(partition, 0), end) for partition, end in ends.items())
        return reached - 1 if self.alerts_wait and reached else reached


class Durable(Protocol):
    """Looks at the durable side of one entrant in one run."""

    async def safe(self) -> Safe:
        """What is safe now; asked ten times a second, so it must be cheap."""
        ...

    async def counters(self) -> Counters:
        """What is remembered of each household; asked once the entrant has been killed."""
        ...


@dataclass(frozen=True, slots=True)
class Changelog:
    """State in a changelog topic, the place in the group's committed offsets.

    topic_part: what stands in the changelog's name, and in no other. household_of, state_of: from its keys and values.
    """

    log: PeersLog
    place: EntrantPlace
    topic_part: str
    household_of: Callable[[bytes], str]
    state_of: Callable[[bytes], State]

    async def safe(self) -> Safe:
        """See Durable."""
        return Safe(await self.log.committed(self.place.group, self.place.events_topic))

    async def counters(self) -> Counters:
        """See Durable."""
        topics = [name for name in await self.log.topics_with(self.topic_part) if self.place.group in name]
        records = await self.log.read_all(topics)
        return {self.household_of(record.key): self.state_of(record.value) for record in records}


@dataclass(frozen=True, slots=True)
class Postgres:
    """State in the table `peer_counter`, the place in the group's committed offsets."""

    log: PeersLog
    place: EntrantPlace
    database: "asyncpg.Connection[Any]"

    async def safe(self) -> Safe:
        """See Durable."""
        return Safe(await self.log.committed(self.place.group, self.place.events_topic))

    async def counters(self) -> Counters:
        """See Durable."""
        rows = await self.database.fetch("SELECT household_id, events, total_fen, grade FROM peer_counter")
        return {row[0]: [row[1], row[2], row[3]] for row in rows}


class PostgresWithPosition(Postgres):
    """State, place and alerts in one transaction: done when the relay has put the last alert on the topic, too."""

    async def safe(self) -> Safe:
        """See Durable."""
        rows = await self.database.fetch(
            "SELECT partition, next_offset, EXISTS (SELECT FROM outbox) FROM partition_position"
            " WHERE topic = $1 AND next_offset IS NOT NULL",
            self.place.events_topic,
        )
        return Safe({row[0]: row[1] for row in rows}, any(row[2] for row in rows))


# A restart begins at the frontier and takes of each key the newest snapshot before it.
_SNAPSHOTS = """
    SELECT state_key, ser_change FROM snaps
    WHERE step_id LIKE ? AND snap_epoch < (SELECT min(worker_frontier) FROM fronts) ORDER BY snap_epoch
"""


@dataclass(frozen=True, slots=True)
class BytewaxStore:
    """State and place in Bytewax's recovery store, a SQLite file."""

    directory: Path

    async def safe(self) -> Safe:
        """See Durable."""
        try:
            places = self._newest("%.kafka_input")
        except sqlite3.OperationalError:
            # Its tables are just being made.
            return Safe({})
        return Safe({int(key.partition("-")[0]): offset for key, offset in places.items() if offset is not None})

    async def counters(self) -> Counters:
        """See Durable."""
        return self._newest("%.fold.%")

    def _newest(self, step: str) -> dict[str, Any]:
        file = next(self.directory.glob("*.sqlite3"), None)
        if file is None:
            return {}
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as store:
            rows = store.execute(_SNAPSHOTS, [step]).fetchall()
        return {key: None if change is None else pickle.loads(change) for key, change in rows}


def json_state(value: bytes) -> State:
    """A state that was stored as JSON."""
    return list(json.loads(value))


def binary_state(value: bytes) -> State:
    """A state of two 64-bit numbers and a 32-bit one, most significant byte first."""
    return list(struct.unpack(">qqi", value))
