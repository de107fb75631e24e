"""Draft what follows from changes of grade: alerts, timelines, messages and deliveries, all in memory.

Changes are taken in order; a later change of the same household meets the alert as the earlier ones left it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.notifier.core.alerting import Action, Decision, Why, deadlines, decide
from services.notifier.core.message import Facts, alert_id_of, compose, message_id
from services.notifier.core.routing import Recipient, RoutedAs, Routing, known_division
from services.notifier.store.rows import (
    AlertRow,
    DeliveryRow,
    MessageRow,
    Register,
    StepRow,
    Told,
    stored_routing,
)
from shared.alerts import AlertStatus, DeliveryStatus, SendReason, StepKind
from shared.clock import day_of
from shared.grades import GradeChanged
from shared.policy import Policies, Policy

SEND_REASONS: Mapping[Why, SendReason] = {
    Why.OPENED_WORSE: SendReason.OPENED,
    Why.OPENED_SERIOUS: SendReason.OPENED,
    Why.GRADE_WORSE: SendReason.GRADE_WORSE,
    Why.NEW_FIRST_CAUSE: SendReason.NEW_FIRST_CAUSE,
    Why.REFUTED: SendReason.WITHDRAWN,
}
STEPS: Mapping[Why, StepKind] = {
    Why.OPENED_WORSE: StepKind.OPENED,
    Why.OPENED_SERIOUS: StepKind.OPENED,
    Why.GRADE_WORSE: StepKind.WORSENED,
    Why.GRADE_BETTER: StepKind.IMPROVED,
    Why.REFUTED: StepKind.WITHDRAWN,
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decisions of one batch are made with."""

    policies: Policies
    register: Register
    told: Mapping[str, Sequence[Told]]
    public_url: str
    now: datetime

    def policy_of(self, division: str) -> Policy:
        """The policy that is in force in a division now; it may say other words and deadlines than its neighbour's."""
        return self.policies.for_division(division).on(day_of(self.now))


@dataclass(slots=True)
class Drafts:
    """What one batch is going to write. `alerts` by household are those under way, `closed` those it has ended."""

    surroundings: Surroundings
    alerts: dict[str, AlertRow]
    versions: dict[str, int]
    changed: dict[str, AlertRow] = field(default_factory=dict)
    steps: list[StepRow] = field(default_factory=list)
    messages: list[MessageRow] = field(default_factory=list)
    deliveries: list[DeliveryRow] = field(default_factory=list)
    decisions: list[Why] = field(default_factory=list)
    opened: list[AlertRow] = field(default_factory=list)
    unreachable: list[AlertRow] = field(default_factory=list)

    def take(self, change: GradeChanged) -> None:
        """Decide one change and draft what follows from it."""
        alert = self.alerts.get(change.household_id)
        policy = self.surroundings.policy_of(change.division)
        decision = decide(
            change,
            None if alert is None else alert.under_way,
            last_version=self.versions.get(change.household_id, 0),
            policy=policy,
        )
        self.decisions.append(decision.why)
        self.versions[change.household_id] = max(change.version, self.versions.get(change.household_id, 0))
        match decision.action:
            case Action.IGNORE:
                return
            case Action.OPEN:
                row = self._opened(change)
                self.opened.append(row)
            case Action.SEND_AGAIN | Action.NOTE | Action.WITHDRAW:
                assert alert is not None
                row = self._updated(alert, change, decision)
        self._note(change, alert, row, decision)
        if decision.why in SEND_REASONS:
            row = self._tell(row, change, decision)
        self._keep(row)

    def _opened(self, change: GradeChanged) -> AlertRow:
        return self._timed(
            AlertRow(
                alert_id=alert_id_of(change.household_id, change.version),
                household_id=change.household_id,
                status=AlertStatus.OPEN,
                revision=1,
                opened_at=self.surroundings.now,
                causes_told=list(change.causes[:1]),
                plan=[],
                **self._present(change),
            )
        )

    def _updated(self, alert: AlertRow, change: GradeChanged, decision: Decision) -> AlertRow:
        row = replace(alert, **self._present(change))
        if decision.action is Action.NOTE:
            return row
        row = replace(row, revision=row.revision + 1, causes_told=_with_first(row.causes_told, change.causes))
        if decision.why is Why.GRADE_WORSE:
            return self._timed(row)
        if decision.action is Action.WITHDRAW:
            return replace(row, status=AlertStatus.WITHDRAWN, closed_at=self.surroundings.now)
        return row

    def _present(self, change: GradeChanged) -> dict[str, Any]:
        """What an alert shows of the latest change."""
        return {
            "household_version": change.version,
            "alias": change.alias,
            "division": change.division,
            "grade": change.new_grade,
            "change": change.model_dump(mode="json"),
            "updated_at": self.surroundings.now,
        }

    def _timed(self, row: AlertRow) -> AlertRow:
        now = self.surroundings.now
        due = deadlines(row.grade, self.surroundings.policy_of(row.division), now)
        return replace(
            row,
            acknowledge_by=due.acknowledge_by,
            visit_by=due.visit_by,
            plan=[step.model_dump(mode="json") for step in due.plan],
        )

    def _note(self, change: GradeChanged, before: AlertRow | None, row: AlertRow, decision: Decision) -> None:
        facts = {
            "old_grade": change.old if before is None else before.grade.code,
            "new_grade": change.new,
            "reason": decision.why,
            "version": change.version,
        }
        kind = STEPS.get(decision.why, StepKind.UPDATED)
        self.steps.append(StepRow(row.alert_id, self.surroundings.now, kind, facts=facts))

    def _tell(self, row: AlertRow, change: GradeChanged, decision: Decision) -> AlertRow:
        """Draft message and deliveries of a new revision; an alert that nobody can be told of is marked so."""
        self.deliveries = [_superseded(one, row) for one in self.deliveries]
        routing = self._routing(row, decision)
        recipients = self._told_before(row) if routing is None else routing.recipients
        if not recipients and decision.action is not Action.WITHDRAW:
            self.steps.append(StepRow(row.alert_id, self.surroundings.now, StepKind.UNREACHABLE))
            row = replace(row, unreachable=True)
            self.unreachable.append(row)
        else:
            row = replace(row, unreachable=False)
        reason = SEND_REASONS[decision.why]
        message = compose(self._facts(row, reason))
        self.messages.append(
            MessageRow(
                row.alert_id,
                row.revision,
                reason,
                message.subject,
                message.text,
                message.body,
                decided_at=change.decided_at,
                routing=None if routing is None else stored_routing(routing),
            )
        )
        for recipient in recipients:
            self.deliveries += self._deliveries(row, recipient, reason)
        return row

    def _routing(self, row: AlertRow, decision: Decision) -> Routing | None:
        """Whom the rules name now; None: a withdrawal goes to those who were told before."""
        if decision.action is Action.WITHDRAW:
            return None
        return self.surroundings.register.route(row.division, decision.roles, self.surroundings.now)

    def _told_before(self, row: AlertRow) -> tuple[Recipient, ...]:
        told = self.surroundings.told.get(row.alert_id, ())
        return tuple(Recipient(one.staff_id, (one.channel,), RoutedAs.TOLD_BEFORE) for one in told)

    def _deliveries(self, row: AlertRow, recipient: Recipient, reason: SendReason) -> list[DeliveryRow]:
        now, register = self.surroundings.now, self.surroundings.register
        return [
            DeliveryRow(
                alert_id=row.alert_id,
                revision=row.revision,
                staff_id=recipient.staff_id,
                channel=channel,
                reason=reason,
                routed_as=recipient.routed_as,
                grade=row.grade,
                target=register.target(recipient.staff_id, channel),
                message_id=message_id(row.alert_id, row.revision, recipient.staff_id, channel),
                next_attempt_at=now,
                created_at=now,
            )
            for channel in recipient.channels
        ]

    def _facts(self, row: AlertRow, reason: SendReason) -> Facts:
        names, now = self.surroundings.register.names, self.surroundings.now
        known = known_division(row.division, names)
        return Facts(
            alert_id=row.alert_id,
            household_id=row.household_id,
            alias=row.alias,
            division=row.division,
            village=names.get(known, row.division),
            grade=row.grade,
            look=self.surroundings.policy_of(row.division).look(row.grade),
            reason=reason,
            revision=row.revision,
            opened_at=row.opened_at,
            told_at=now,
            acknowledge_by=row.acknowledge_by,
            visit_by=row.visit_by,
            public_url=self.surroundings.public_url,
        )

    def _keep(self, row: AlertRow) -> None:
        self.changed[row.alert_id] = row
        if row.closed_at is None:
            self.alerts[row.household_id] = row
        else:
            self.alerts.pop(row.household_id, None)


def _with_first(told: list[str], causes: Sequence[str]) -> list[str]:
    return told if not causes or causes[0] in told else [*told, causes[0]]


def _superseded(delivery: DeliveryRow, row: AlertRow) -> DeliveryRow:
    """What this very batch wanted to tell of an earlier revision is not told any more."""
    if delivery.alert_id != row.alert_id:
        return delivery
    return replace(delivery, status=DeliveryStatus.SUPPRESSED, detail="superseded")
