"""Draft what follows from changes of grade: alerts, timelines, messages and deliveries, all in memory.

Changes are taken in order; a later change of the same household meets the alert as the earlier ones left it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.notifier.core.alerting import Action, Decision, Why, decide
from services.notifier.core.climbing import next_timer
from services.notifier.core.holding import Place, ended_by
from services.notifier.core.message import alert_id_of
from services.notifier.core.routing import Recipient, RoutedAs, Routing
from services.notifier.core.silencing import Silenced
from services.notifier.store.rows import AlertRow, DeliveryRow, MessageRow, StepRow
from services.notifier.telling import (
    Surroundings,
    dated,
    draft_telling,
    heard_again,
    message_row,
    silenced_routing,
    silenced_row,
    timed,
)
from shared.alerts import TAKEN_BACK, AlertStatus, DeliveryStatus, SendReason, StepKind
from shared.grades import GradeChanged, RiskGrade
from shared.policy import Role

SEND_REASONS: Mapping[Why, SendReason] = {
    Why.OPENED_WORSE: SendReason.OPENED,
    Why.OPENED_SERIOUS: SendReason.OPENED,
    Why.GRADE_WORSE: SendReason.GRADE_WORSE,
    Why.NEW_FIRST_CAUSE: SendReason.NEW_FIRST_CAUSE,
    Why.CORRECTED: SendReason.CORRECTED,
    Why.REFUTED: SendReason.WITHDRAWN,
    Why.HOUSEHOLD_CLOSED: SendReason.HOUSEHOLD_CLOSED,
}
STEPS: Mapping[Why, StepKind] = {
    Why.OPENED_WORSE: StepKind.OPENED,
    Why.OPENED_SERIOUS: StepKind.OPENED,
    Why.GRADE_WORSE: StepKind.WORSENED,
    Why.GRADE_BETTER: StepKind.IMPROVED,
    Why.CORRECTED: StepKind.CORRECTED,
    Why.REFUTED: StepKind.WITHDRAWN,
    Why.HOUSEHOLD_CLOSED: StepKind.WITHDRAWN,
}


@dataclass(slots=True)
class Drafts:
    """What one batch is going to write. `alerts` by household are those under way.

    silenced: tellings that a silence keeps from people. moved_on: households whose resolved alerts have nothing to
    remind of any more, since a newer grade speaks for them.
    """

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
    silenced: list[AlertRow] = field(default_factory=list)
    moved_on: set[str] = field(default_factory=set)

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
        if alert is None and decision.why is not Why.OLD_VERSION:
            self.moved_on.add(change.household_id)
        match decision.action:
            case Action.IGNORE:
                return
            case Action.OPEN:
                row = self._opened(change)
                self.opened.append(row)
            case Action.SEND_AGAIN | Action.NOTE | Action.CORRECT | Action.WITHDRAW:
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
        if decision.action is Action.CORRECT:
            # As if the milder grade had been told from the first: what people did since then counts.
            return self._due(row, row.climb_from or row.opened_at)
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
        now, surroundings = self.surroundings.now, self.surroundings
        return timed(row, surroundings.policy_of(row.division), now, surroundings.wording)

    def _due(self, row: AlertRow, since: datetime) -> AlertRow:
        """Set the times of the present grade, counted from an instant."""
        return dated(row, self.surroundings.policy_of(row.division), since, self.surroundings.wording)

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
        routing = self._routing(row, decision)
        takes_back = SEND_REASONS[decision.why] in TAKEN_BACK
        silence = None if row.closed_at is not None else self._silence(row, decision)
        # What is taken back is told to whoever heard it, also in a silence, and then to nobody else.
        before = self._told_before(row, () if silence else decision.roles) if routing is None else ()
        if silence is not None and not before:
            named = routing or self.surroundings.register.route(row.division, decision.roles, self.surroundings.now)
            return self._keep_silent(row, change, decision, named, silence)
        row = heard_again(row)
        recipients = before if routing is None else routing.recipients
        if not recipients and routing is not None:
            self.steps.append(StepRow(row.alert_id, self.surroundings.now, StepKind.UNREACHABLE))
            row = replace(row, unreachable=True)
            self.unreachable.append(row)
        elif recipients or row.closed_at:
            row = replace(row, unreachable=False)
        if takes_back:
            self.surroundings.tellings.end(row.alert_id, self.surroundings.now)
        drafted = draft_telling(
            row,
            recipients,
            SEND_REASONS[decision.why],
            self.surroundings,
            decided_at=change.decided_at,
            routing=routing,
            worst=self._worst_told(row) if routing is None else None,
        )
        self.messages.append(drafted.message)
        self.deliveries = [
            self._settled(one, row, takes_back=takes_back) for one in self.deliveries
        ] + drafted.deliveries
        return drafted.row

    def _silence(self, row: AlertRow, decision: Decision) -> Silenced | None:
        """What keeps the alert from being told. What is worse than what was silenced is silenced from now on."""
        is_anew = decision.why is Why.GRADE_WORSE
        return self.surroundings.silence_of(row, since=None if is_anew else row.silenced_since)

    def _keep_silent(
        self, row: AlertRow, change: GradeChanged, decision: Decision, routing: Routing, silence: Silenced
    ) -> AlertRow:
        """Store the telling with the verdict on each person, and tell nobody."""
        now, reason = self.surroundings.now, SEND_REASONS[decision.why]
        if decision.why is Why.GRADE_WORSE:
            row = replace(row, silenced_since=None)
        row, step = silenced_row(row, silence, now)
        self.steps.append(step)
        # What nobody has heard of yet is still going to be opened for them.
        row = replace(row, untold=row.untold if row.untold is SendReason.OPENED else reason)
        kept = silenced_routing(routing)
        self.messages.append(message_row(row, reason, self.surroundings, decided_at=change.decided_at, routing=kept))
        self.silenced.append(row)
        return row

    def _settled(self, delivery: DeliveryRow, row: AlertRow, *, takes_back: bool) -> DeliveryRow:
        """What this very batch wanted to tell is not told to who hears of something newer, nor once it is not so."""
        newer = self.surroundings.tellings.recalled.get(
            (Place(delivery.alert_id, delivery.revision), delivery.staff_id)
        )
        if newer is None and not (takes_back and delivery.alert_id == row.alert_id):
            return delivery
        detail = ended_by(delivery.grade, newer)
        return replace(delivery, status=DeliveryStatus.SUPPRESSED, detail=detail)

    def _routing(self, row: AlertRow, decision: Decision) -> Routing | None:
        """Whom the rules name now; None: what is taken back goes to those who were told before."""
        if decision.action in (Action.WITHDRAW, Action.CORRECT):
            return None
        return self.surroundings.register.route(row.division, decision.roles, self.surroundings.now)

    def _told_before(self, row: AlertRow, roles: Sequence[Role]) -> tuple[Recipient, ...]:
        """Those who were told, and besides whom the rules name for roles: their message may not have left yet."""
        told = self.surroundings.told.get(row.alert_id, ())
        before = [Recipient(one.staff_id, (one.channel,), RoutedAs.TOLD_BEFORE) for one in told]
        if not roles:
            return tuple(before)
        known = {one.staff_id for one in before}
        named = self.surroundings.register.route(row.division, roles, self.surroundings.now).recipients
        return (*before, *(one for one in named if one.staff_id not in known))

    def _worst_told(self, row: AlertRow) -> dict[str, RiskGrade]:
        """How bad each of them heard that it was: who was called out by red hears at once that it is over."""
        worst: dict[str, RiskGrade] = {}
        for one in self.surroundings.told.get(row.alert_id, ()):
            worst[one.staff_id] = max(one.worst, worst.get(one.staff_id, one.worst))
        return worst

    def _keep(self, row: AlertRow) -> None:
        row = replace(row, timer_at=next_timer(row.standing, self.surroundings.policy_of(row.division)))
        self.changed[row.alert_id] = row
        if row.closed_at is None:
            self.alerts[row.household_id] = row
        else:
            self.alerts.pop(row.household_id, None)


def _with_first(told: list[str], causes: Sequence[str]) -> list[str]:
    return told if not causes or causes[0] in told else [*told, causes[0]]
