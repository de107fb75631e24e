"""Did people hear of each alert, in time, and only those who should? (I7, I8, P3)

A receipt is a line "taken" in the devices' own journal under the message id of the delivery, or under that of the
digest it went into if the message names its alert; what the tables say of it is only compared with that.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.journals import Journals, Line
from tests.chaos.checker.judge_alerts import AlertTold
from tests.chaos.checker.tables import DeliveryRow, DigestRow, MessageRow, Tables
from tests.chaos.checker.tellings import ORANGE, TAKEN_BACK, Telling, recipients
from tests.chaos.checker.verdict import Findings

FINAL = {"http_410", "no_address", "unusable_address", "private_address"}
P99 = 0.99


def judge_receipts(
    evidence: Evidence, journals: Journals, tables: Tables, alerts: Sequence[AlertTold], findings: Findings
) -> None:
    """Hold deliveries against the devices' journal, in both directions."""
    taken = Taken(journals.devices, tables.digests)
    deliveries: dict[tuple[str, int], list[DeliveryRow]] = defaultdict(list)
    for row in tables.deliveries:
        deliveries[row.alert_id, row.revision].append(row)
    messages = {(row.alert_id, row.revision): row for row in tables.messages}
    judge = _Receipts(evidence, journals, tables, deliveries, messages, taken, findings)
    for one in alerts:
        judge.alert(one)
    judge.rows()
    judge.in_time()


class Taken:
    """When each message was taken, and which alerts a digest named."""

    def __init__(self, devices: Iterable[Line], digests: Iterable[DigestRow]) -> None:
        self._at: dict[str, list[float]] = defaultdict(list)
        self._naming: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._message_of = {one.digest_id: one.message_id for one in digests}
        for line in devices:
            if line["outcome"] == "taken" and line.get("message_id"):
                self._at[line["message_id"]].append(line["at"])
                for alert_id, _ in line.get("alerts") or ():
                    self._naming[line["message_id"], alert_id].append(line["at"])

    def of(self, row: DeliveryRow) -> list[float]:
        """When a device had what a delivery tells: by itself, or in its digest."""
        whole = self._message_of.get(row.digest_id or "", "")
        return [*self._at.get(row.message_id, ()), *self._naming.get((whole, row.alert_id), ())]

    @property
    def messages(self) -> int:
        """How many messages the devices have."""
        return len(self._at)

    @property
    def repeated(self) -> int:
        """How often a message came that they had."""
        return sum(len(times) - 1 for times in self._at.values())


class _Receipts:
    def __init__(
        self,
        evidence: Evidence,
        journals: Journals,
        tables: Tables,
        deliveries: Mapping[tuple[str, int], Sequence[DeliveryRow]],
        messages: Mapping[tuple[str, int], MessageRow],
        taken: Taken,
        findings: Findings,
    ) -> None:
        self._evidence = evidence
        self._journals = journals
        self._tables = tables
        have_contacts = {one.staff_id for one in tables.contacts}
        self._reachable = [one for one in tables.staff if one.staff_id in have_contacts]
        self._deliveries = deliveries
        self._messages = messages
        self._taken = taken
        self._findings = findings
        self._steady: dict[str, float] = {}
        self._in_fault: dict[str, float] = {}
        self._since_intended: list[float] = []
        self._unheard: set[str] = set()

    def alert(self, told: AlertTold) -> None:
        """Judge one alert: every revision to the right people, and a receipt for what stands in the end."""
        alert_id = told.alert.alert_id
        for revision, telling in enumerate(told.tellings, start=1):
            rows = self._deliveries.get((alert_id, revision), ())
            if (alert_id, revision) not in self._messages:
                self._findings.convict("silent", f"{alert_id}/{revision}", "has no message for what must be told")
            elif telling.reason not in TAKEN_BACK and not self._journals.marks("staff changed"):
                self._people(f"{alert_id}/{revision}", telling, rows)
        last = told.tellings[-1]
        heard = [self._first(alert_id, revision) for revision in range(1, len(told.tellings) + 1)]
        if last.reason not in TAKEN_BACK and heard[-1] is None:
            self._unheard.add(alert_id)
            self._findings.convict("silent", alert_id, "no device has what stands in the end")
        for place, telling in enumerate(told.tellings):
            if telling.reason in ("opened", "grade_worse") and telling.change.new >= ORANGE:
                self._measure(f"{alert_id}/{place + 1}", telling, heard[place:])

    def rows(self) -> None:
        """Judge each delivery: at an end, and sent only if a device has it."""
        states = Counter(row.status for row in self._tables.deliveries)
        for row in self._tables.deliveries:
            if row.status == "sent" and not self._taken.of(row):
                self._findings.convict("silent", row.message_id, f"stored as sent to {row.staff_id}; no device has it")
            elif row.status == "failed" and not _is_final(row.detail or ""):
                self._findings.convict("silent", row.message_id, f"given up after {row.detail}, which may pass")
            elif row.status == "pending" and row.alert_id not in self._unheard:
                self._findings.convict("unready", row.message_id, f"still on its way to {row.staff_id}")
        self._findings.figures["deliveries"] = {
            **states,
            "digests": len(self._tables.digests),
            "taken": self._taken.messages,
            "taken_again": self._taken.repeated,
        }

    def in_time(self) -> None:
        """Judge P3: nearly all within seconds while nothing is wrong, each within a minute whatever is."""
        for proof, seconds in self._in_fault.items():
            if seconds > self._evidence.receipt_fault_seconds:
                self._findings.convict("silent", proof, f"was heard {seconds:.1f} s after its event was answered")
        slow = quantile(self._steady.values(), P99)
        if slow is not None and slow > self._evidence.receipt_steady_seconds:
            for proof, seconds in self._steady.items():
                if seconds > self._evidence.receipt_steady_seconds:
                    self._findings.convict("silent", proof, f"was heard {seconds:.1f} s late with no fault about")
        self._findings.figures |= {
            "receipt_seconds": spread(self._since_intended),
            "receipt_seconds_after_ok": {
                "steady": spread(self._steady.values()),
                "fault": spread(self._in_fault.values()),
            },
        }

    def _people(self, proof: str, telling: Telling, rows: Sequence[DeliveryRow]) -> None:
        told = {row.staff_id for row in rows}
        must = recipients(telling, self._reachable, self._tables.divisions)
        for staff_id in must - told:
            self._findings.convict("silent", f"{proof}/{staff_id}", "should have been told and was not")
        # Where all deliveries failed for good, the duty officers are told instead.
        stand_ins = {row.staff_id for row in rows if row.routed_as == "duty_officer"}
        failed = all(row.status == "failed" for row in rows if row.staff_id in must)
        for staff_id in told - must - (stand_ins if failed else set()):
            self._findings.convict("unsolicited", f"{proof}/{staff_id}", "was told and should not have been")

    def _first(self, alert_id: str, revision: int) -> float | None:
        rows = self._deliveries.get((alert_id, revision), ())
        times = [at for row in rows for at in self._taken.of(row)]
        return min(times, default=None)

    def _measure(self, proof: str, telling: Telling, heard: Sequence[float | None]) -> None:
        """How long after its event was answered somebody heard of it, or of what followed it."""
        first = min((at for at in heard if at is not None), default=None)
        answered = self._journals.first_ok_at(*telling.change.event)
        if first is None or answered is None:
            return
        intended = self._journals.intended_at(*telling.change.event)
        if intended is not None:
            self._since_intended.append(max(0.0, first - intended))
        # What people must hear goes over the log as well; while that is away, nobody's clock runs.
        away = sum(max(0.0, min(first, ends) - max(answered, begins)) for begins, ends in self._journals.impossible)
        seconds = max(0.0, first - answered - away)
        troubled = self._evidence.near_a_fault(answered, first)
        (self._in_fault if troubled else self._steady)[proof] = seconds


def _is_final(detail: str) -> bool:
    """Whether a refusal will be the same however often one tries."""
    return detail in FINAL or detail.startswith("smtp_5")


def quantile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that so large a share of all does not exceed; None of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def spread(values: Iterable[float]) -> dict[str, float | int]:
    """Count and quantiles, in milliseconds' precision; nothing of nothing."""
    ordered = sorted(values)
    if not ordered:
        return {}
    found = {f"p{share * 100:g}": round(quantile(ordered, share) or 0.0, 3) for share in (0.5, 0.99)}
    return {"n": len(ordered), **found, "max": round(ordered[-1], 3)}
