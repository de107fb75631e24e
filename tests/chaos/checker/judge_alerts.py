"""Did every change of grade that people must hear of become an alert, and nothing else? (I6)

Escalations (the second half of I7) and the audit chain (I10) are not built yet; nothing is judged of them.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.judge_grades import Changes, Transitions
from tests.chaos.checker.tables import AlertRow, StepRow, Tables
from tests.chaos.checker.tellings import Telling, Told, tellings, told_changes
from tests.chaos.checker.verdict import Findings

UNDER_WAY = ("open", "acknowledged", "visited")
# What the timeline writes as the reason of a step that told people something.
TELLS = {"opened_worse", "opened_serious", "grade_worse", "new_first_cause", "refuted", "household_closed", "corrected"}


@dataclass
class AlertTold:
    """One stored alert with what should have been told of it: one telling for each revision, in order."""

    alert: AlertRow
    tellings: list[Telling] = field(default_factory=list)


def judge_alerts(
    evidence: Evidence, tables: Tables, transitions: Transitions, meant: Changes, findings: Findings
) -> list[AlertTold]:
    """Compare alerts with changes of grade, household by household; what can be judged further."""
    alerts: dict[str, list[AlertRow]] = defaultdict(list)
    for alert in tables.alerts:
        alerts[alert.household_id].append(alert)
    steps: dict[str, list[StepRow]] = defaultdict(list)
    for step in tables.steps:
        if "version" in step.facts:
            steps[step.alert_id].append(step)
    waiting = set(tables.in_outbox)
    late = evidence.lag is not None and evidence.lag.get("changes", 0) > 0
    found: list[AlertTold] = []
    for household_id in sorted({*alerts, *transitions, *meant}):
        changes = told_changes(transitions.get(household_id, ()), meant.get(household_id))
        ours = alerts.get(household_id, [])
        one = _Household(household_id, changes, ours, steps, findings, under_way=late or household_id in waiting)
        found += one.judge()
    return found


class _Household:
    """The alerts of one household. under_way: changes of it may not have reached the notifier yet."""

    def __init__(
        self,
        household_id: str,
        changes: Sequence[Told],
        alerts: Sequence[AlertRow],
        steps: Mapping[str, Sequence[StepRow]],
        findings: Findings,
        *,
        under_way: bool,
    ) -> None:
        self._id = household_id
        self._changes = changes
        self._alerts = alerts
        self._steps = steps
        self._findings = findings
        self._under_way = under_way

    def judge(self) -> list[AlertTold]:
        """Convict what is missing, too much or double; the alerts with what was told of them."""
        taken_on = any(alert.acknowledged_at is not None for alert in self._alerts)
        withdraws = not taken_on or any(alert.status == "withdrawn" for alert in self._alerts)
        must = {telling.change.version: telling for telling in tellings(self._changes, can_withdraw=withdraws)}
        told = self._told()
        whole = [self._missing(telling) for version, telling in must.items() if version not in told]
        for version, alert_ids in told.items():
            if version not in must:
                self._findings.convict(
                    "unsolicited", alert_ids[0], f"tells of {self._id}:{version}, which tells nothing"
                )
            elif len(alert_ids) > 1:
                self._findings.convict("doubled", alert_ids[0], f"tells of {self._id}:{version} {len(alert_ids)} times")
        open_now = [alert for alert in self._alerts if alert.status in UNDER_WAY]
        if len(open_now) > 1:
            self._findings.convict("doubled", self._id, f"has {len(open_now)} alerts under way")
        for alert in self._alerts:
            self._judge_row(alert, is_whole=not whole)
        by_alert: dict[str, list[Telling]] = defaultdict(list)
        for version in sorted(must):
            for alert_id in told.get(version, ())[:1]:
                by_alert[alert_id].append(must[version])
        return [AlertTold(alert, by_alert[alert.alert_id]) for alert in self._alerts if by_alert[alert.alert_id]]

    def _told(self) -> dict[int, list[str]]:
        """Which alerts told people of which version, as the timelines have it."""
        found: dict[int, list[str]] = defaultdict(list)
        for alert in self._alerts:
            for step in self._steps.get(alert.alert_id, ()):
                if step.facts.get("reason") in TELLS:
                    found[step.facts["version"]].append(alert.alert_id)
        return found

    def _missing(self, telling: Telling) -> bool:
        proof = f"{self._id}:{telling.change.version}"
        if self._under_way:
            self._findings.convict("unready", proof, "its change of grade has not reached the notifier yet")
        else:
            self._findings.convict("silent", proof, f"no alert tells of it ({telling.reason})")
        return True

    def _judge_row(self, alert: AlertRow, *, is_whole: bool) -> None:
        steps = self._steps.get(alert.alert_id, ())
        # What people did rests on no change of grade.
        versions = Counter(step.facts["version"] for step in steps if "version" in step.facts)
        known = {change.version: change for change in self._changes}
        change = known.get(alert.household_version)
        if change is None or not versions:
            self._findings.convict("unsolicited", alert.alert_id, "rests on no change of grade")
        elif (alert.grade, alert.change["version"]) != (change.new, change.version):
            self._findings.convict("misgraded", alert.alert_id, f"shows grade {alert.grade}, which is {change.new}")
        elif twice := [version for version, count in versions.items() if count > 1]:
            self._findings.convict("doubled", alert.alert_id, f"took in version {twice[0]} twice")
        elif alert.status in UNDER_WAY and is_whole and not self._under_way:
            for version in [version for version in known if version > alert.household_version][:1]:
                self._findings.convict("silent", f"{self._id}:{version}", f"never reached alert {alert.alert_id}")
