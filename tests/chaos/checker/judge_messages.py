"""Did each message that reached a device come from a delivery, to its person, and say no more than it may? (I8)"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable

from tests.chaos.checker.journals import Journals, Line
from tests.chaos.checker.tables import DigestRow, Tables
from tests.chaos.checker.verdict import Findings

THIN = {
    "type", "alert_id", "household_id", "alias", "division", "village", "grade", "opened_at", "acknowledge_by",
    "visit_by", "link", "revision",
}  # fmt: skip
"""All that a webhook may say; everything else waits behind the login."""
THIN_DIGEST = {"type", "digest_id", "alerts", "bursts", "link"}
THIN_DIGEST_ALERT = THIN - {"type"} | {"reason", "status", "is_new", "burst"}
THIN_DIGEST_BURST = {"division", "village", "grade", "households", "new", "named"}


def judge_messages(journals: Journals, tables: Tables, findings: Findings) -> None:
    """Hold the devices' lines against deliveries and digests, and the stored words against what is thin."""
    judge = _Messages(journals, tables, findings)
    judge.lines()
    judge.bodies()


class _Messages:
    def __init__(self, journals: Journals, tables: Tables, findings: Findings) -> None:
        self._journals = journals
        self._tables = tables
        self._findings = findings
        self._households = {alert.alert_id: alert.household_id for alert in tables.alerts}
        self._told_of: dict[str, set[str]] = defaultdict(set)
        for row in tables.deliveries:
            self._told_of[row.staff_id].add(row.alert_id)

    def lines(self) -> None:
        """Judge each line of the devices: a delivery must be behind it, to this person, of this alert."""
        rows = {row.message_id: row for row in self._tables.deliveries}
        digests = {row.message_id: row for row in self._tables.digests}
        for line in self._journals.devices:
            message_id = line.get("message_id")
            if message_id in digests:
                self._digest_line(line, digests[message_id])
                continue
            if message_id is None:
                if line["outcome"] == "taken":
                    self._findings.convict("unsolicited", f"at {line['at']}", "a device took a message without id")
                continue
            row = rows.get(message_id)
            if row is None and line.get("alerts") and self._is_forgotten(line):
                self._names(message_id, line["staff"], line["alerts"])
                continue
            if row is None:
                self._findings.convict("unsolicited", message_id, "reached a device, and no delivery is behind it")
                continue
            expected = (row.channel, row.staff_id, row.alert_id, self._households.get(row.alert_id))
            found = (line["channel"], line["staff"], line["alert_id"], line["household"])
            wrong = [what for what, meant in zip(found, expected, strict=True) if what is not None and what != meant]
            if wrong:
                self._findings.convict("unsolicited", message_id, f"reached {found}, and was meant for {expected}")

    def _digest_line(self, line: Line, digest: DigestRow) -> None:
        """Judge a digest: it reached whom it was for, and named nothing that this person is not told of."""
        found, expected = (line["channel"], line["staff"]), (digest.channel, digest.staff_id)
        if any(what is not None and what != meant for what, meant in zip(found, expected, strict=True)):
            self._findings.convict("unsolicited", digest.message_id, f"reached {found}, and was meant for {expected}")
        self._names(digest.message_id, digest.staff_id, line["alerts"])

    def _is_forgotten(self, line: Line) -> bool:
        """Whether a restored backup has forgotten this message. A digest is put together anew then, under a new id."""
        return any(line["at"] <= mark["at"] for mark in self._journals.marks("restored") if "partition" not in mark)

    def _names(self, message_id: str, staff_id: str, alerts: Iterable[tuple[str, str]]) -> None:
        may_name = self._told_of[staff_id]
        for alert_id, household in alerts:
            # Alerts of other runs may stand in it as well; of those nothing is known here.
            if alert_id in self._households and household != self._households[alert_id]:
                self._findings.convict("unsolicited", message_id, f"calls {alert_id} household {household}")
            elif alert_id in self._households and alert_id not in may_name:
                self._findings.convict("unsolicited", message_id, f"names {alert_id}, which is not theirs")

    def bodies(self) -> None:
        """Judge the words: a webhook says no more than what is thin."""
        for row in self._tables.messages:
            self._thin(f"{row.alert_id}/{row.revision}", json.loads(row.body), THIN)
        for digest in self._tables.digests:
            if digest.body:
                body = json.loads(digest.body)
                self._thin(digest.message_id, body, THIN_DIGEST)
                for one in body["alerts"]:
                    self._thin(digest.message_id, one, THIN_DIGEST_ALERT)
                for one in body["bursts"]:
                    self._thin(digest.message_id, one, THIN_DIGEST_BURST)

    def _thin(self, proof: str, said: Iterable[str], may_say: Collection[str]) -> None:
        if more := sorted(set(said) - set(may_say)):
            self._findings.convict("unsolicited", proof, f"tells more than it may: {', '.join(more)}")
