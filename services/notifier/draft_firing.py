"""Draft what follows when an alert's timer is due: its next standing, and whom that is told, all in memory."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from services.notifier.core.climbing import Effect, Firing, fire, next_timer
from services.notifier.core.routing import TOLD, Heard, Recipient, RoutedAs, Routing, Verdict
from services.notifier.store.climbing import DueAlert
from services.notifier.store.rows import SYSTEM, AlertRow, DeliveryRow, MessageRow, StepRow
from services.notifier.telling import Drafted, Surroundings, draft_telling, heard_again, silenced_row, timed
from shared.alerts import UNDER_WAY, AlertStatus, SendReason, StepKind
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
    policy = surroundings.policy_of(due.row.division)
    firing = fire(due.standing, policy, surroundings.now)
    if firing.effect is Effect.SILENCE_OVER:
        fired = _silence_over(due, surroundings)
    elif firing.effect is not Effect.NOTHING and (silence := surroundings.silence_of(due.row)) is not None:
        # It is put off as a whole: whoever was told before hears of nothing new either.
        row, step = silenced_row(due.row, silence, surroundings.now)
        fired = Fired(row, Effect.SILENCED, steps=[step])
    else:
        fired = _fired(due.row, firing, surroundings)
    return replace(fired, row=replace(fired.row, timer_at=next_timer(fired.row.standing, policy)))


def _fired(row: AlertRow, firing: Firing, surroundings: Surroundings) -> Fired:
    after = _standing_so(row, firing)
    if firing.effect is Effect.NOTHING:
        return Fired(after, firing.effect)
    routing = _routing(row, firing, surroundings)
    after = replace(after, revision=row.revision + 1, updated_at=surroundings.now, unreachable=not routing.recipients)
    drafted = draft_telling(
        after,
        routing.recipients,
        _SEND_REASONS[firing.effect],
        surroundings,
        decided_at=surroundings.now,
        since=row.climb_from,
        task=firing.step,
        routing=routing,
    )
    return _told_of(drafted, firing.effect, [_step(row, after, firing, surroundings)], surroundings, firing.to)


def _told_of(
    drafted: Drafted, effect: Effect, steps: list[StepRow], surroundings: Surroundings, to: Role | None = None
) -> Fired:
    unreachable = not drafted.deliveries
    if unreachable:
        steps = [*steps, StepRow(drafted.row.alert_id, surroundings.now, StepKind.UNREACHABLE)]
    return Fired(drafted.row, effect, to, unreachable, steps, [drafted.message], drafted.deliveries)


def _silence_over(due: DueAlert, surroundings: Surroundings) -> Fired:
    """Tell what a silence has kept from people, unless another does; or go on where the timetable stood still."""
    row, now = due.row, surroundings.now
    steps = [_end_of_silence(due, now)]
    another = surroundings.silence_of(row, since=row.silenced_since)
    if another is not None:
        row, step = silenced_row(row, another, now)
        return Fired(row, Effect.SILENCED, steps=[*steps, step])
    policy, heard = surroundings.policy_of(row.division), heard_again(row)
    if row.untold is not None and policy.routing[row.grade.code] and _is_wanted(row):
        return _told_at_last(heard, row.untold, steps, surroundings)
    # What was put off is done at once: red bears no second silence before it.
    standing = replace(heard.standing, hop_failed_at=due.hop_failed_at)
    fired = _fired(heard, fire(standing, policy, now), surroundings)
    effect = Effect.SILENCE_OVER if fired.effect is Effect.NOTHING else fired.effect
    return replace(fired, effect=effect, steps=[*steps, *fired.steps])


def _end_of_silence(due: DueAlert, now: datetime) -> StepRow:
    kind = StepKind.SILENCE_EXPIRED if due.silence_ended_by is None else StepKind.SILENCE_ENDED
    return StepRow(
        due.row.alert_id, now, kind, due.silence_ended_by or SYSTEM, facts={"detail": str(due.row.silence_id)}
    )


def _is_wanted(row: AlertRow) -> bool:
    """Tell whether nobody has taken on yet what was kept from people."""
    if row.status not in UNDER_WAY:
        return False
    return row.status is AlertStatus.OPEN or row.revision > (row.acknowledged_revision or 0)


def _told_at_last(row: AlertRow, reason: SendReason, steps: list[StepRow], surroundings: Surroundings) -> Fired:
    """Tell the present grade as if it had just come: deadlines and timetable begin now."""
    now, policy = surroundings.now, surroundings.policy_of(row.division)
    if reason is not SendReason.NEW_FIRST_CAUSE:
        row = timed(row, policy, now, surroundings.wording)
    routing = surroundings.register.route(row.division, policy.routing[row.grade.code], now)
    row = replace(row, revision=row.revision + 1, updated_at=now, unreachable=not routing.recipients)
    drafted = draft_telling(row, routing.recipients, reason, surroundings, decided_at=now, routing=routing)
    return _told_of(drafted, Effect.SILENCE_OVER, steps, surroundings)


def _standing_so(row: AlertRow, firing: Firing) -> AlertRow:
    standing = firing.standing
    after = replace(row, climb_from=standing.climb_from, climbed=standing.climbed, counts_from=standing.counts_from)
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
