"""Do a household's events stand in the order in which they happened to it? (I5)

Its numbers have no gap, they follow the log, and an event that was answered 202 before another one first left stands
before that one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.journals import Journals
from tests.chaos.checker.judge_events import Books
from tests.chaos.checker.tables import LedgerRow
from tests.chaos.checker.verdict import Findings

Histories = Mapping[str, Sequence[LedgerRow]]


def histories_of(ledger: Sequence[LedgerRow]) -> dict[str, list[LedgerRow]]:
    """Each household's rows by their numbers, every event once."""
    histories: dict[str, list[LedgerRow]] = defaultdict(list)
    met = set()
    for row in sorted(ledger, key=lambda row: (row.household_id, row.household_seq)):
        if row.who not in met:
            met.add(row.who)
            histories[row.household_id].append(row)
    return histories


def judge_order(evidence: Evidence, journals: Journals, histories: Histories, books: Books, findings: Findings) -> None:
    """Convict households whose ledger is not in order, by the first event that stands where it must not."""
    for household_id, rows in histories.items():
        if household_id in books.spoilt:
            continue
        found = _out_of_line(rows) or _out_of_time(evidence, journals, rows)
        if found is not None:
            row, why = found
            findings.convict("misordered", row.event_id, f"{household_id} number {row.household_seq}: {why}")
            books.spoilt.add(household_id)


def _out_of_line(rows: Sequence[LedgerRow]) -> tuple[LedgerRow, str] | None:
    for number, row in enumerate(rows, start=1):
        if row.household_seq != number:
            return row, f"number {number} is missing"
    for before, row in pairwise(rows):
        if row.topic_partition != before.topic_partition:
            return row, f"came from partition {row.topic_partition}, its history from {before.topic_partition}"
        if row.topic_offset <= before.topic_offset:
            return row, f"offset {row.topic_offset} stands behind offset {before.topic_offset}"
        if row.recorded_on < before.recorded_on:
            return row, f"counts on {row.recorded_on}, behind {before.recorded_on}"
    return None


def _out_of_time(evidence: Evidence, journals: Journals, rows: Sequence[LedgerRow]) -> tuple[LedgerRow, str] | None:
    """Compare with the client's journal: the order of answers and of first departures, and the offsets it was told."""
    latest: tuple[float, LedgerRow] | None = None
    for row in rows:
        bodies = journals.sends.get(row.who)
        if bodies is None:
            continue
        oks = [line for send in bodies.values() for line in send.oks]
        answered = min((line["at"] for line in oks), default=None)
        if latest is not None and answered is not None and answered < latest[0]:
            return row, f"was answered before {latest[1].event_id} left, and stands behind it"
        if skipped := [line for line in oks if _is_earlier(line["partition"], line["offset"], row)]:
            return row, f"its copy at offset {skipped[0]['offset']} was passed over for that at {row.topic_offset}"
        left = min((at for send in bodies.values() for at in send.invoked), default=None)
        if latest is not None and left is not None and _went_back(evidence, latest, left, row):
            return row, f"was received before {latest[1].event_id}, which stands before it"
        if left is not None and (latest is None or left > latest[0]):
            latest = left, row
    return None


def _is_earlier(partition: int, offset: int, row: LedgerRow) -> bool:
    return partition == row.topic_partition and offset < row.topic_offset


def _went_back(evidence: Evidence, before: tuple[float, LedgerRow], left: float, row: LedgerRow) -> bool:
    """Whether receipts go back in time although no fault can have moved a clock."""
    quiet = left > before[0] and not evidence.near_a_fault(before[0], left)
    return quiet and row.recorded_at < before[1].recorded_at
