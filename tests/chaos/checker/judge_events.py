"""Is every event that was answered 202 in the books once, as it was sent, and nothing else? (I1, I2, I3)

Lost is only what the scorer has read past; what lies ahead of it on the log is not seen yet, which is slow but no loss.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.checker.journals import Identity, Journals, Line, Send, content_of
from tests.chaos.checker.tables import EVENTS_TOPIC, LedgerRow, QuarantineRow, Tables
from tests.chaos.checker.verdict import Findings

CONFLICT = "CONFLICTING_DUPLICATE"
SCORER_GROUP = "shouwang-scorer"
Place = tuple[int, int]
"""(partition, offset) on the topic of household events"""


@dataclass
class Books:
    """The ledger and the quarantine, by what they are asked for. spoilt: households whose ledger was convicted."""

    ledger: Mapping[Identity, Sequence[LedgerRow]]
    quarantine: Mapping[Identity, Sequence[QuarantineRow]]
    next_offset: Mapping[int, int | None]
    raw: Mapping[Place, Line]
    spoilt: set[str] = field(default_factory=set)

    def has_passed(self, send: Send) -> bool:
        """Whether the scorer has read past a send that the log has."""
        for line in send.oks:
            position = self.next_offset.get(line["partition"])
            if position is not None and position > line["offset"]:
                return True
        return False


def open_books(journals: Journals, tables: Tables) -> Books:
    """Sort the rows for the questions that are asked of them."""
    ledger: dict[Identity, list[LedgerRow]] = defaultdict(list)
    for row in tables.ledger:
        ledger[row.who].append(row)
    quarantine: dict[Identity, list[QuarantineRow]] = defaultdict(list)
    for kept in tables.quarantine:
        if kept.source is not None and kept.event_id is not None:
            quarantine[kept.source, kept.event_id].append(kept)
    positions = {
        row.partition: row.next_offset
        for row in tables.positions
        if row.consumer_group == SCORER_GROUP and row.topic.endswith(EVENTS_TOPIC)
    }
    raw = {(line["partition"], line["offset"]): line for line in journals.marks("raw record")}
    return Books(ledger, quarantine, positions, raw)


def judge_events(journals: Journals, tables: Tables, books: Books, findings: Findings) -> None:
    """Hold what was sent against the books, and the books against what was sent."""
    unseen = 0
    for identity, bodies in journals.sends.items():
        sends = [send for send in bodies.values() if send.acked]
        if sends:
            unseen += _judge_acked(identity, sends, books, findings)
    findings.figures["unseen"] = unseen
    _judge_ledger(journals, tables.ledger, books, findings)
    _judge_quarantine(journals, tables.quarantine, books, findings)
    _judge_raw(tables, books, findings)


def _judge_acked(identity: Identity, sends: Sequence[Send], books: Books, findings: Findings) -> int:
    """Find the row of an identity, and a place in the quarantine for every other body; how many are still unseen."""
    event_id, rows, kept = identity[1], books.ledger.get(identity, ()), books.quarantine.get(identity, ())
    accounted = [row.content for row in rows] + [content_of(_text(row)) for row in kept]
    unseen = 0
    for send in sends:
        if send.content in accounted:
            continue
        if rows and len(sends) == 1:
            continue  # there, but with another content: a phantom, told by the ledger's side
        if books.has_passed(send):
            findings.convict("lost", event_id, f"answered 202, read by the scorer, and in no book ({send.household})")
            books.spoilt.add(send.household)
        else:
            unseen += 1
            findings.convict("unready", event_id, "answered 202, and the scorer has not read it yet")
    refused_for = sorted({row.reason for row in kept} - {CONFLICT})
    if refused_for:
        findings.convict("unexplained", event_id, f"accepted by ingest, but quarantined as {', '.join(refused_for)}")
    return unseen


def _judge_ledger(journals: Journals, rows: Iterable[LedgerRow], books: Books, findings: Findings) -> None:
    places = Counter((row.household_id, row.household_seq) for row in rows)
    for identity, same in books.ledger.items():
        if len(same) > 1:
            findings.convict("doubled", identity[1], f"stands in the ledger {len(same)} times")
            books.spoilt |= {row.household_id for row in same}
    for row in rows:
        if places[row.household_id, row.household_seq] > 1:
            findings.convict("doubled", row.event_id, f"shares number {row.household_seq} with another event")
            books.spoilt.add(row.household_id)
        if why := _foreign(row, journals, books):
            findings.convict("phantom", row.event_id, why)
            books.spoilt.add(row.household_id)


def _foreign(row: LedgerRow, journals: Journals, books: Books) -> str | None:
    """Why a row of the ledger cannot come from anything that was sent; None if it can."""
    raw = books.raw.get((row.topic_partition, row.topic_offset))
    if raw is not None:
        if raw["expect"] != "ledger":
            return f"was put on the log to end as: {raw['expect']}"
        return None if content_of(raw["body"]) == row.content else "does not say what was put on the log"
    bodies = journals.sends.get(row.who)
    if bodies is None:
        return "was never sent"
    meant = [send for send in bodies.values() if send.content == row.content]
    if not meant:
        return "does not say what was sent under this id"
    return "was refused for good when it was sent" if all(send.refused for send in meant) else None


def _judge_quarantine(journals: Journals, rows: Iterable[QuarantineRow], books: Books, findings: Findings) -> None:
    for row in rows:
        if not row.topic.endswith(EVENTS_TOPIC) or (row.topic_partition, row.topic_offset) in books.raw:
            continue
        bodies = journals.sends.get((row.source or "", row.event_id or ""))
        if bodies is None:
            proof = row.event_id or f"quarantine {row.quarantine_id}"
            findings.convict("phantom", proof, f"was never sent, but quarantined as {row.reason}")
            continue
        said, same = content_of(_text(row)), books.ledger.get((row.source or "", row.event_id or ""), ())
        if all(send.refused for send in bodies.values() if send.content == said):
            why = "the quarantine holds what was refused, or never sent, under this id"
            findings.convict("phantom", row.event_id or "", why)
        elif row.reason == CONFLICT and any(one.content == said for one in same):
            findings.convict("unexplained", row.event_id or "", "quarantined as a conflict with itself")


def _judge_raw(tables: Tables, books: Books, findings: Findings) -> None:
    """What was put on the log past ingest must end where it belongs, too."""
    ends: dict[str, set[Place]] = {
        "ledger": {(row.topic_partition, row.topic_offset) for row in tables.ledger},
        "quarantine": {(row.topic_partition, row.topic_offset) for row in tables.quarantine},
    }
    for place, line in books.raw.items():
        position = books.next_offset.get(place[0])
        if place in ends.get(line["expect"], {place}):
            continue
        if position is not None and position > place[1]:
            findings.convict("lost", f"record {place[0]}/{place[1]}", f"passed, but not in the {line['expect']}")
        else:
            findings.convict("unready", f"record {place[0]}/{place[1]}", "the scorer has not read it yet")


def _text(row: QuarantineRow) -> str:
    return "" if row.record_value is None else bytes(row.record_value).decode("utf-8", "replace")
