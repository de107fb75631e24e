"""What a verdict rests on: the journals, the database, and what the runner saw of the machine.

Lines of the nemesis journal that the judge reads, by "kind" (all other kinds are for people):
    durability impossible from, durability impossible to    between them nothing may be answered 202 (I13)
    restored         the database is now a backup; positions may have gone back (I9), and digests be forgotten (I8);
                     with {"partition"}: only this position was put back
    raw record       {"partition", "offset", "expect"}: put on household.events.v1 past ingest; expect: "quarantine",
                     "ledger" or "nothing" (a repeat). For "ledger": also {"body"}, the record's text (I1, I3)
    staff changed    who is told is not what the directory says now; recipients are not judged
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.chaos.maker import CANARIES

JOURNALS = CLIENT, EVENTS, DEVICES, NEMESIS = "client.jsonl", "events.jsonl", "devices.jsonl", "nemesis.jsonl"
EVIDENCE_FILE, TABLES_FILE = "evidence.json", "tables.pickle"


class Sample(NamedTuple):
    """What one service used at one moment. at: unix seconds."""

    at: float
    service: str
    memory_bytes: int
    open_files: int


class Caps(NamedTuple):
    """What no service may ever pass (I14). open_files: 1,000 callers, and 300 files that a service may need beside."""

    memory_bytes: int = 400 * 1024 * 1024
    open_files: int = 1_300


DEFAULT_CAPS = Caps()


class Recovery(NamedTuple):
    """How long everything took to be well again (I12). seconds: None = it was not, when the time was over."""

    seconds: float | None
    bound_seconds: float
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """directory: holds the four journals, and after a verdict the tables too.

    dsn: the database's direct address; "" = judge by the tables that were kept. run: judge only what belongs to this
    run or these; None = everything in journals and tables. windows: (start, end) of each fault, unix seconds, from the
    call of inject to the end of heal. grace_seconds: how long after a window's end (or after its recovery, if that is
    later) services may still answer 503. lag: "changes" -> how many changes of grade the notifier had not read when the
    tables were read; their alerts are then late, not missing. logs: files in which no canary may stand. canaries: texts
    that only the clients' bodies hold.
    """

    directory: Path
    dsn: str
    run: str | tuple[str, ...] | None = None
    windows: Sequence[tuple[float, float]] = ()
    grace_seconds: float = 5.0
    recovery: Recovery | None = None
    lag: Mapping[str, int] | None = None
    samples: Sequence[Sample] = ()
    caps: Caps = DEFAULT_CAPS
    logs: Sequence[Path] = ()
    canaries: Sequence[str] = CANARIES
    receipt_steady_seconds: float = 5.0
    receipt_fault_seconds: float = 60.0

    @property
    def runs(self) -> tuple[str, ...] | None:
        """The runs to judge; None = all."""
        return (self.run,) if isinstance(self.run, str) else self.run

    def near_a_fault(self, start: float, end: float) -> bool:
        """Whether a span of time touches a fault or what came of it."""
        tail = self.grace_seconds
        if self.recovery is not None:
            tail += self.recovery.bound_seconds if self.recovery.seconds is None else self.recovery.seconds
        return any(start <= ends + tail and end >= begins for begins, ends in self.windows)

    def save(self) -> None:
        """Write it beside the journals, so that it can be judged again."""
        facts = asdict(self) | {"directory": None, "logs": [str(log) for log in self.logs]}
        (self.directory / EVIDENCE_FILE).write_text(json.dumps(facts, indent=1))

    @classmethod
    def load(cls, directory: Path, **changes: Any) -> Self:
        """Read what `save` wrote; changes replace fields."""
        facts = json.loads((directory / EVIDENCE_FILE).read_text())
        recovery, run = facts["recovery"], facts["run"]
        facts |= {
            "directory": directory,
            "run": tuple(run) if isinstance(run, list) else run,
            "windows": tuple((start, end) for start, end in facts["windows"]),
            "recovery": None if recovery is None else Recovery(*recovery),
            "samples": tuple(Sample(*sample) for sample in facts["samples"]),
            "caps": Caps(*facts["caps"]),
            "logs": tuple(Path(log) for log in facts["logs"]),
            "canaries": tuple(facts["canaries"]),
        }
        return replace(cls(**facts), **changes)
