"""Did people hear of each alert, in time, only those who should, and no more than they may read? (I7, I8, P3)

A receipt is a line "taken" in the devices' own journal under the delivery's message id; what the tables say of it is
only compared with that.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.journals import Journals, Line
from tests.chaos.checker.judge_alerts import AlertTold
from tests.chaos.checker.tables import DeliveryRow, MessageRow, Tables
from tests.chaos.checker.tellings import ENDINGS, ORANGE, Telling, recipients
from tests.chaos.checker.verdict import Findings

THIN = {
    "type", "alert_id", "household_id", "alias", "division", "village", "grade", "opened_at", "acknowledge_by",
    "visit_by", "link", "revision",
}  # fmt: skip
"""All that a webhook may say; everything else waits behind the login."""
FINAL = {"http_410", "no_address", "unusable_address", "private_address"}
P99 = 0.99


def judge_receipts(
    evidence: Evidence, journals: Journals, tables: Tables, alerts: Sequence[AlertTold], findings: Findings
) -> None:
    """Hold deliveries against the devices' journal, in both directions."""
    taken = _taken(journals.devices)
    deliveries: dict[tuple[str, int], list[DeliveryRow]] = defaultdict(list)
    for row in tables.deliveries:
        deliveries[row.alert_id, row.revision].append(row)
    messages = {(row.alert_id, row.revision): row for row in tables.messages}
    judge = _Receipts(evidence, journals, tables, deliveries, messages, taken, findings)
    for one in alerts:
        judge.alert(one)
    judge.rows()
    judge.lines()
    judge.bodies()
    judge.in_time()


def _taken(devices: Iterable[Line]) -> dict[str, list[float]]:
    """When each message was taken, by message id."""
    found: dict[str, list[float]] = defaultdict(list)
    for line in devices:
        if line["outcome"] == "taken" and line.get("message_id"):
            found[line["message_id"]].append(line["at"])
    return found


class _Receipts:
    def __init__(
        self,
        evidence: Evidence,
        journals: Journals,
        tables: Tables,
        deliveries: Mapping[tuple[str, int], Sequence[DeliveryRow]],
        messages: Mapping[tuple[str, int], MessageRow],
        taken: Mapping[str, Sequence[float]],
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
            elif telling.reason not in ENDINGS and not self._journals.marks("staff changed"):
                self._people(f"{alert_id}/{revision}", telling, rows)
        last = told.tellings[-1]
        heard = [self._first(alert_id, revision) for revision in range(1, len(told.tellings) + 1)]
        if last.reason not in ENDINGS and heard[-1] is None:
            self._unheard.add(alert_id)
            self._findings.convict("silent", alert_id, "no device has what stands in the end")
        for place, telling in enumerate(told.tellings):
            if telling.reason in ("opened", "grade_worse") and telling.change.new >= ORANGE:
                self._measure(f"{alert_id}/{place + 1}", telling, heard[place:])

    def rows(self) -> None:
        """Judge each delivery: at an end, and sent only if a device has it."""
        states = Counter(row.status for row in self._tables.deliveries)
        for row in self._tables.deliveries:
            if row.status == "sent" and row.message_id not in self._taken:
                self._findings.convict("silent", row.message_id, f"stored as sent to {row.staff_id}; no device has it")
            elif row.status == "failed" and not _is_final(row.detail or ""):
                self._findings.convict("silent", row.message_id, f"given up after {row.detail}, which may pass")
            elif row.status == "pending" and row.alert_id not in self._unheard:
                self._findings.convict("unready", row.message_id, f"still on its way to {row.staff_id}")
        repeated = sum(len(times) - 1 for times in self._taken.values())
        self._findings.figures["deliveries"] = {**states, "taken": len(self._taken), "taken_again": repeated}

    def lines(self) -> None:
        """Judge each line of the devices: a delivery must be behind it, to this person, of this alert."""
        rows = {row.message_id: row for row in self._tables.deliveries}
        households = {alert.alert_id: alert.household_id for alert in self._tables.alerts}
        for line in self._journals.devices:
            message_id = line.get("message_id")
            if message_id is None:
                if line["outcome"] == "taken":
                    self._findings.convict("unsolicited", f"at {line['at']}", "a device took a message without id")
                continue
            row = rows.get(message_id)
            if row is None and message_id in self._tables.of_lists:
                # A list tells of many households; no event of the run is behind it.
                continue
            if row is None:
                self._findings.convict("unsolicited", message_id, "reached a device, and no delivery is behind it")
                continue
            expected = (row.channel, row.staff_id, row.alert_id, households.get(row.alert_id))
            found = (line["channel"], line["staff"], line["alert_id"], line["household"])
            wrong = [what for what, meant in zip(found, expected, strict=True) if what is not None and what != meant]
            if wrong:
                self._findings.convict("unsolicited", message_id, f"reached {found}, and was meant for {expected}")

    def bodies(self) -> None:
        """Judge the words: a webhook says no more than what is thin."""
        for row in self._tables.messages:
            more = sorted(set(json.loads(row.body)) - THIN)
            if more:
                proof = f"{row.alert_id}/{row.revision}"
                self._findings.convict("unsolicited", proof, f"tells more than it may: {', '.join(more)}")

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
        times = [at for row in rows for at in self._taken.get(row.message_id, ())]
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
