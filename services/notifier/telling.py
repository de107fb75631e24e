"""Put one revision of an alert into messages and deliveries, in memory; and what that takes to know."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.notifier.core.alerting import deadlines
from services.notifier.core.climbing import waited_for
from services.notifier.core.holding import Hold, Place, Tellings, Wanted
from services.notifier.core.message import Facts, compose, message_id
from services.notifier.core.routing import TOLD, Heard, Recipient, Routing, known_division
from services.notifier.core.silencing import Silence, Silenced, silenced
from services.notifier.core.words import Wording
from services.notifier.store.rows import AlertRow, DeliveryRow, MessageRow, Register, StepRow, Told, stored_routing
from shared.alerts import ENDINGS, PlanStep, SendReason, StepKind
from shared.clock import day_of
from shared.grades import RiskGrade
from shared.policy import Policies, Policy


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decisions of one batch are made with.

    tellings: what people had lately; carried on by each telling. silences: at least those in force.
    """

    policies: Policies
    register: Register
    told: Mapping[str, Sequence[Told]]
    public_url: str
    now: datetime
    wording: Wording
    tellings: Tellings = field(default_factory=Tellings)
    silences: Sequence[Silence] = ()

    def policy_of(self, division: str) -> Policy:
        """The policy that is in force in a division now; it may say other words and deadlines than its neighbour's."""
        return self.policies.for_division(division).on(day_of(self.now))

    def known_division(self, row: AlertRow) -> str:
        """The household's division, or its nearest ancestor that the register knows."""
        return known_division(row.division, self.register.names)

    def silence_of(self, row: AlertRow, since: datetime | None = None) -> Silenced | None:
        """What keeps an alert from being told now. since: from when on it has been, if it is already."""
        return silenced(
            self.silences,
            row.household_id,
            row.division,
            row.grade,
            since=since or self.now,
            rules=self.policy_of(row.division).delivery,
            now=self.now,
        )


@dataclass(frozen=True, slots=True)
class Drafted:
    """A telling in full: the alert as it leaves it, its words, and a delivery per person and channel."""

    row: AlertRow
    message: MessageRow
    deliveries: list[DeliveryRow]


def timed(row: AlertRow, policy: Policy, now: datetime, wording: Wording) -> AlertRow:
    """Let an alert's deadlines and its timetable begin now."""
    return replace(dated(row, policy, now, wording), climb_from=now, counts_from=None, climbed=0)


def dated(row: AlertRow, policy: Policy, since: datetime, wording: Wording) -> AlertRow:
    """Set the deadlines of an alert's present grade, counted from an instant."""
    due = deadlines(row.grade, policy, since, wording)
    return replace(
        row,
        acknowledge_by=due.acknowledge_by,
        visit_by=due.visit_by,
        plan=[step.model_dump(mode="json") for step in due.plan],
    )


def silenced_row(row: AlertRow, silence: Silenced, now: datetime) -> tuple[AlertRow, StepRow]:
    """Put an alert under a silence, and say so on its timeline."""
    facts = {"detail": str(silence.silence.silence_id)}
    step = StepRow(row.alert_id, now, StepKind.SILENCED, note=silence.silence.reason, facts=facts)
    return (
        replace(
            row,
            silence_id=silence.silence.silence_id,
            silenced_since=row.silenced_since or now,
            silenced_until=silence.until,
        ),
        step,
    )


def heard_again(row: AlertRow) -> AlertRow:
    """Take an alert out of its silence."""
    return replace(row, silence_id=None, silenced_since=None, silenced_until=None, untold=None)


def silenced_routing(routing: Routing) -> Routing:
    """Say of everybody who would have been told that a silence kept it from them."""
    told = frozenset(TOLD.values())
    verdicts = (replace(one, heard=Heard.SILENCED) if one.heard in told else one for one in routing.verdicts)
    return Routing((), tuple(verdicts))


def draft_telling(
    row: AlertRow,
    recipients: Sequence[Recipient],
    reason: SendReason,
    surroundings: Surroundings,
    *,
    decided_at: datetime,
    routing: Routing | None = None,
    worst: Mapping[str, RiskGrade] | None = None,
    since: datetime | None = None,
    task: PlanStep | None = None,
) -> Drafted:
    """Draft a revision for everybody who is to hear of it, each as soon as their peace and their day allow.

    worst: by staff_id the grade of what an ending ends. The other values: see `message_row`.
    """
    now, tellings, place = surroundings.now, surroundings.tellings, Place(row.alert_id, row.revision)
    rules = surroundings.policy_of(row.division).delivery
    wanted = {
        one.staff_id: Wanted(place, row.grade, (worst or {}).get(one.staff_id, row.grade), reason in ENDINGS)
        for one in recipients
    }
    holds = {who: tellings.hold(row.household_id, who, one, rules, now) for who, one in wanted.items()}
    heard_from = min((now if one is None else one.until or one.look_at for one in holds.values()), default=now)
    row = _waited_for(row, reason, heard_from, now)
    message = message_row(
        row,
        reason,
        surroundings,
        decided_at=decided_at,
        heard_from=heard_from,
        since=since,
        task=task,
        routing=routing,
    )
    deliveries = delivery_rows(row, recipients, reason, surroundings, holds)
    # Last of all: a telling that cannot be drafted takes nobody's place.
    for who, one in wanted.items():
        tellings.note(row.household_id, who, one, holds[who], now)
    return Drafted(row, message, deliveries)


def _waited_for(row: AlertRow, reason: SendReason, heard_from: datetime, now: datetime) -> AlertRow:
    if heard_from <= now:
        return row
    standing, acknowledge_by = waited_for(row.standing, row.acknowledge_by, reason, heard_from - now)
    return replace(row, counts_from=standing.counts_from, acknowledge_by=acknowledge_by)


def message_row(
    row: AlertRow,
    reason: SendReason,
    surroundings: Surroundings,
    *,
    decided_at: datetime,
    heard_from: datetime | None = None,
    since: datetime | None = None,
    task: PlanStep | None = None,
    routing: Routing | None = None,
) -> MessageRow:
    """Put a revision into words.

    decided_at: when what is told was decided; heard_from: when the first can read it, if that is later; since, task:
    see `Facts`. routing: None where it goes to those told before.
    """
    facts = Facts(
        alert_id=row.alert_id,
        household_id=row.household_id,
        alias=row.alias,
        division=row.division,
        village=surroundings.register.names.get(surroundings.known_division(row), row.division),
        grade=row.grade,
        look=surroundings.policy_of(row.division).look(row.grade),
        reason=reason,
        revision=row.revision,
        opened_at=row.opened_at,
        told_at=heard_from or surroundings.now,
        acknowledge_by=row.acknowledge_by,
        visit_by=row.visit_by,
        public_url=surroundings.public_url,
        since=since,
        task=None if task is None else (task.text_zh, task.text_en),
    )
    message = compose(facts, surroundings.wording)
    return MessageRow(
        row.alert_id,
        row.revision,
        reason,
        message.subject,
        message.text,
        message.body,
        message.brief,
        decided_at=decided_at,
        routing=None if routing is None else stored_routing(routing),
    )


def delivery_rows(
    row: AlertRow,
    recipients: Iterable[Recipient],
    reason: SendReason,
    surroundings: Surroundings,
    holds: Mapping[str, Hold | None],
) -> list[DeliveryRow]:
    """Draft the deliveries of a revision: one per person and channel, due at once unless the person's is held."""
    now, register = surroundings.now, surroundings.register
    rows = [
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
        for recipient in recipients
        for channel in recipient.channels
    ]
    return [one.waiting(holds[one.staff_id]) for one in rows]
