"""What became of a load: waits, answers, problems."""

import json
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from services.ingest.load.connection import Reply
from services.ingest.load.parcels import Parcel

ACCEPTED, MULTI_STATUS = 202, 207
# They pass by themselves: a field app keeps the event and sends it again.
PASSING = frozenset({408, 429, 502, 503, 504})
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
GOAL = 0.99


@dataclass(slots=True)
class Tally:
    """Counts of one run.

    offered, taken, refused, unanswered: events; the first without those that were faulty on purpose, which are counted
    in refused_on_purpose. waits: seconds from when a request was to be sent to the answer that settled it.
    statuses, problems: answers, also those after which a request was repeated. held_back: answers that asked to wait.
    """

    offered: int = 0
    taken: int = 0
    refused: int = 0
    refused_on_purpose: int = 0
    unanswered: int = 0
    held_back: int = 0
    lost_connections: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    waits: "array[float]" = field(default_factory=lambda: array("d"))

    @property
    def share_taken(self) -> float:
        """Of the events that were in order, the share that was taken; 1 if there were none."""
        return self.taken / self.offered if self.offered else 1.0

    def begin(self, parcel: Parcel) -> None:
        """Count events when they become due."""
        if not parcel.is_faulty:
            self.offered += len(parcel.bodies)

    def answered(self, parcel: Parcel, reply: Reply, at: float) -> list[bytes]:
        """Count an answer; return the events that must go again."""
        self.statuses[reply.status] += 1
        if reply.status >= 400:
            self.problems[problem_of(reply.body)] += 1
        if reply.status in PASSING:
            self.held_back += 1
            return parcel.bodies
        self.waits.append(at - parcel.intended)
        again = [] if reply.status != MULTI_STATUS else self._by_verdict(parcel, reply)
        if reply.status == ACCEPTED:
            self.taken += len(parcel.bodies)
        elif reply.status != MULTI_STATUS:
            self._refuse(parcel, len(parcel.bodies))
        return again

    def give_up(self, parcel: Parcel) -> None:
        """Count events that nobody will answer any more."""
        if not parcel.is_faulty:
            self.unanswered += len(parcel.bodies)

    def _by_verdict(self, parcel: Parcel, reply: Reply) -> list[bytes]:
        verdicts = json.loads(reply.body)["results"]
        again = [parcel.bodies[verdict["index"]] for verdict in verdicts if verdict["status"] == "not_accepted"]
        refused = [verdict for verdict in verdicts if verdict["status"] == "refused"]
        for verdict in refused:
            self.problems[_slug(verdict["problem"]["type"])] += 1
        self._refuse(parcel, len(refused))
        self.taken += len(verdicts) - len(refused) - len(again)
        self.held_back += bool(again)
        return again

    def _refuse(self, parcel: Parcel, count: int) -> None:
        if parcel.is_faulty:
            self.refused_on_purpose += count
        else:
            self.refused += count


def problem_of(body: bytes) -> str:
    """Name the problem that an answer tells of; "?" if it is not a problem document."""
    try:
        return _slug(json.loads(body)["type"])
    except (ValueError, KeyError, TypeError):
        return "?"


def _slug(address: str) -> str:
    return str(address).rsplit("/", 1)[-1]


def percentiles_ms(waits: Sequence[float]) -> Mapping[str, float]:
    """Percentiles and the greatest of some waits in milliseconds, each one of the waits themselves; {} if none."""
    if not waits:
        return {}
    ordered = sorted(waits)
    found = {f"p{share:g}": ordered[max(0, ceil(len(ordered) * share / 100) - 1)] for share in PERCENTILES}
    return {name: round(seconds * 1000, 2) for name, seconds in {**found, "max": ordered[-1]}.items()}
