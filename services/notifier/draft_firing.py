"""Draft what follows when an alert's timer is due: its next standing, and whom that is told, all in memory."""

from dataclasses import dataclass, field, replace

from services.notifier.core.climbing import Effect, Firing, fire, next_timer
from services.notifier.core.routing import TOLD, Heard, Recipient, RoutedAs, Routing, Verdict
from services.notifier.store.climbing import DueAlert
from services.notifier.store.rows import AlertRow, DeliveryRow, MessageRow, StepRow
from services.notifier.telling import Surroundings, delivery_rows, message_row
from shared.alerts import AlertStatus, SendReason, StepKind
from shared.policy import Role

_SEND_REASONS = {
    Effect.CLIMBED: SendReason.OVERDUE,
    Effect.OVERDUE_VISIT: SendReason.OVERDUE_VISIT,
    Effect.REMINDED: SendReason.REMINDER,
}
_STEPS = {
    Effect.CLIMBED: StepKind.CLIMBED,
    Effect.OVERDUE_VISIT: StepKind.OVERDUE_VISIT,
    Effect.REMINDED: StepKind.REMINDED,
}


@dataclass(frozen=True, slots=True)
class Fired:
    """What is going to be written about one alert. unreachable: nobody was there to tell."""

    row: AlertRow
    effect: Effect
    to: Role | None = None
    unreachable: bool = False
    steps: list[StepRow] = field(default_factory=list)
    messages: list[MessageRow] = field(default_factory=list)
    deliveries: list[DeliveryRow] = field(default_factory=list)


def draft_firing(due: DueAlert, surroundings: Surroundings) -> Fired:
    """Let time do the one thing that is due. Nothing due (people were faster): only the timer is set anew."""
    row, policy = due.row, surroundings.policy_of(due.row.division)
    firing = fire(due.standing, policy, surroundings.now)
    after = replace(_standing_so(row, firing), timer_at=next_timer(firing.standing, policy))
    if firing.effect is Effect.NOTHING:
        return Fired(after, firing.effect)
    routing = _routing(row, firing, surroundings)
    recipients = routing.recipients
    after = replace(after, revision=row.revision + 1, updated_at=surroundings.now, unreachable=not recipients)
    steps = [_step(row, after, firing, surroundings)]
    if not recipients:
        steps.append(StepRow(row.alert_id, surroundings.now, StepKind.UNREACHABLE))
    reason = _SEND_REASONS[firing.effect]
    message = message_row(
        after,
        reason,
        surroundings,
        decided_at=surroundings.now,
        since=row.climb_from,
        task=firing.step,
        routing=routing,
    )
    return Fired(
        after,
        firing.effect,
        firing.to,
        not recipients,
        steps,
        [message],
        delivery_rows(after, recipients, reason, surroundings),
    )


def _standing_so(row: AlertRow, firing: Firing) -> AlertRow:
    standing = firing.standing
    after = replace(row, climb_from=standing.climb_from, climbed=standing.climbed)
    match firing.effect:
        case Effect.OVERDUE_VISIT:
            # Whoever had taken it on keeps no claim to it; the timeline says who that was.
            return replace(after, status=standing.status, owner=None, acknowledged_at=None, acknowledged_revision=None)
        case Effect.REMINDED:
            return replace(after, plan=[step.model_dump(mode="json") for step in standing.plan])
        case _:
            return after


def _step(row: AlertRow, after: AlertRow, firing: Firing, surroundings: Surroundings) -> StepRow:
    facts: dict[str, object] = {"revision": after.revision}
    if firing.to is not None:
        facts |= {"detail": firing.to, "hop": after.climbed}
    elif firing.step is not None:
        facts |= {"detail": firing.step.step}
    elif row.status is not AlertStatus.OPEN and row.owner is not None:
        facts |= {"detail": row.owner}
    return StepRow(row.alert_id, surroundings.now, _STEPS[firing.effect], facts=facts)


def _routing(row: AlertRow, firing: Firing, surroundings: Surroundings) -> Routing:
    register, now = surroundings.register, surroundings.now
    if firing.to is not None:
        return register.climb(row.division, firing.to, now)
    owner = _owner(row, surroundings)
    if firing.effect is Effect.REMINDED and owner:
        return _told(owner, register.route(row.division, (), now).verdicts)
    routing = register.route(row.division, firing.roles or ("cadre",), now)
    others = tuple(one for one in routing.recipients if one.staff_id not in {mine.staff_id for mine in owner})
    return _told((*owner, *others), routing.verdicts)


def _told(recipients: tuple[Recipient, ...], verdicts: tuple[Verdict, ...]) -> Routing:
    """Bring the verdicts in line with who is told in the end."""
    by_id = {one.staff_id: one for one in recipients}
    return Routing(recipients, tuple(_verdict(one, by_id.get(one.staff_id)) for one in verdicts))


def _verdict(verdict: Verdict, recipient: Recipient | None) -> Verdict:
    if recipient is None:
        return replace(verdict, heard=Heard.NOT_ROUTED_FOR_GRADE) if verdict.heard in TOLD.values() else verdict
    return replace(verdict, heard=TOLD[recipient.routed_as])


def _owner(row: AlertRow, surroundings: Surroundings) -> tuple[Recipient, ...]:
    """Whoever holds the alert, if they can be told: a program cannot, nor can someone who has left."""
    holds = row.status is not AlertStatus.OPEN
    return tuple(
        Recipient(person.staff_id, person.channels, RoutedAs.OWNER)
        for person in surroundings.register.staff
        if holds and person.staff_id == row.owner and person.channels
    )
