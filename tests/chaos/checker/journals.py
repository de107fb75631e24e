"""What the witnesses wrote down: each send of the client with its outcomes, the devices' lines, the nemesis' marks."""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from shared.clock import day_of
from tests.chaos.checker.evidence import CLIENT, DEVICES, EVENTS, NEMESIS, Evidence

Identity = tuple[str, str]
"""(source, event id)"""
Line = Mapping[str, Any]
IMPOSSIBLE_FROM, IMPOSSIBLE_TO = "durability impossible from", "durability impossible to"
# What these say is about the event itself: its bytes can never be taken, whatever became of other attempts.
REFUSES_THE_EVENT = frozenset({400, 413, 415, 422})


class Content(NamedTuple):
    """What an event says, however it is stored; compared between the bytes that were sent and the ledger's row."""

    household_id: str
    type: str
    source_class: str
    episode: str | None
    division: str
    occurred_on: date
    data: Any


@dataclass
class Send:
    """One event's bytes, sent once or often. Times in unix seconds; body: None if it never got into events.jsonl."""

    source: str
    event_id: str
    household: str
    body_sha: str
    body: str | None
    invoked: list[float] = field(default_factory=list)
    oks: list[Line] = field(default_factory=list)
    fails: list[Line] = field(default_factory=list)
    infos: list[Line] = field(default_factory=list)

    @property
    def identity(self) -> Identity:
        """Who said it under which id."""
        return (self.source, self.event_id)

    @property
    def acked(self) -> bool:
        """Whether it was answered 202 at least once."""
        return bool(self.oks)

    @property
    def refused(self) -> bool:
        """Whether it is certain that the log must not have it."""
        if any(line["status"] in REFUSES_THE_EVENT for line in self.fails):
            return True
        return bool(self.fails) and len(self.fails) == len(self.invoked)

    @property
    def undecided(self) -> bool:
        """Whether nobody ever told what became of it."""
        return not self.oks and not self.fails

    @property
    def first_ok_at(self) -> float:
        """When it was first known to be on the log."""
        return min((line["at"] for line in self.oks), default=float("inf"))

    @cached_property
    def content(self) -> Content | None:
        """What the bytes say; None if they are not an event."""
        return None if self.body is None else content_of(self.body)


@dataclass(frozen=True)
class Journals:
    """Everything the witnesses wrote about the runs that are judged. since: unix seconds of the first line."""

    sends: Mapping[Identity, Mapping[str, Send]]
    client: Sequence[Line]
    devices: Sequence[Line]
    nemesis: Sequence[Line]
    since: float

    @property
    def all_sends(self) -> Iterable[Send]:
        """Every send, in the order of the journal."""
        return (send for bodies in self.sends.values() for send in bodies.values())

    def first_ok_at(self, source: str | None, event_id: str | None) -> float | None:
        """When an event was first known to be on the log; None if no send of it was ever answered 202."""
        bodies = self.sends.get((source or "", event_id or ""), {})
        first = min((send.first_ok_at for send in bodies.values()), default=float("inf"))
        return None if first == float("inf") else first

    def intended_at(self, source: str | None, event_id: str | None) -> float | None:
        """When an event was to be sent first."""
        bodies = self.sends.get((source or "", event_id or ""), {})
        return min((line["intended"] for send in bodies.values() for line in send.oks), default=None)

    @cached_property
    def impossible(self) -> Sequence[tuple[float, float]]:
        """The spans in which the log could keep nothing; one that was never closed lasts."""
        ends = sorted(line["at"] for line in self.marks(IMPOSSIBLE_TO))
        begins = [line["at"] for line in self.marks(IMPOSSIBLE_FROM)]
        return [(begin, next((end for end in ends if end >= begin), float("inf"))) for begin in begins]

    def marks(self, kind: str) -> list[Line]:
        """The lines that the nemesis wrote under a kind."""
        return [line for line in self.nemesis if line.get("kind") == kind]


def read_journals(evidence: Evidence) -> Journals:
    """Read the four journals of the runs that are judged. Raises ValueError for a broken one."""
    runs, folder = evidence.runs, evidence.directory
    client = list(_lines_of(folder / CLIENT, runs))
    since = min((line["at"] for line in client), default=0.0 if runs is None else float("inf"))
    nemesis = [line for line in _lines(folder / NEMESIS) if line["at"] >= since]
    return Journals(_sends(client, _lines_of(folder / EVENTS, runs)), client, _devices(evidence, since), nemesis, since)


def in_runs(household: str, runs: tuple[str, ...] | None) -> bool:
    """Whether a household belongs to one of the runs."""
    return runs is None or household.startswith(tuple(f"{run}-" for run in runs))


def content_of(body: str) -> Content | None:
    """Read an event's text as the sender meant it; None if it is none."""
    try:
        document = json.loads(body)
        return Content(
            household_id=document["subject"],
            type=document["type"].removeprefix("cn.shouwang.").removesuffix(".v1"),
            source_class=document["sourceclass"],
            episode=_plain(document.get("episode") or None),
            division=document["division"],
            occurred_on=day_of(datetime.fromisoformat(document["time"].upper())),
            data=_plain(document["data"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _plain(value: Any) -> Any:
    """Texts are kept in normal form C, whatever form they came in."""
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _lines(file: Path, marks: Sequence[bytes] = (b"",)) -> Iterator[Line]:
    """Read those lines of a journal that hold one of the marks; a last line that a kill has torn is left out.

    A campaign's journals hold all of its runs: what belongs to others is not even decoded.
    """
    if not file.exists():
        return
    with file.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n") and any(mark in line for mark in marks):
                yield json.loads(line)


def _lines_of(file: Path, runs: tuple[str, ...] | None) -> Iterator[Line]:
    if runs is None:
        yield from _lines(file)
    else:
        marks = [f'"{run}"'.encode() for run in runs]
        yield from (line for line in _lines(file, marks) if line["run"] in runs)


def _sends(client: Iterable[Line], events: Iterable[Line]) -> dict[Identity, dict[str, Send]]:
    bodies = {(line["source"], line["id"], line["body_sha"]): line["body"] for line in events}
    sends: dict[Identity, dict[str, Send]] = defaultdict(dict)
    for line in client:
        source, event_id, sha = line["source"], line["id"], line["body_sha"]
        send = sends[source, event_id].get(sha)
        if send is None:
            send = Send(source, event_id, line["household"], sha, bodies.get((source, event_id, sha)))
            sends[source, event_id][sha] = send
        match line["op"]:
            case "invoke":
                send.invoked.append(line["at"])
            case "ok":
                send.oks.append(line)
            case "fail":
                send.fails.append(line)
            case "info":
                send.infos.append(line)
    return dict(sends)


def _devices(evidence: Evidence, since: float) -> list[Line]:
    """The lines about the runs' households, digests that name one of them too; those that name none count by time."""
    marks = (b"",) if evidence.runs is None else (b"null", *(f'"{run}-'.encode() for run in evidence.runs))

    def is_ours(line: Line) -> bool:
        households = [line["household"]] if line.get("household") else [home for _, home in line.get("alerts") or ()]
        return any(in_runs(home, evidence.runs) for home in households) if households else line["at"] >= since

    return [line for line in _lines(evidence.directory / DEVICES, marks) if is_ours(line)]
