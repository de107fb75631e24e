"""Put one revision of an alert into messages and deliveries, in memory; and what that takes to know."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.notifier.core.message import Facts, compose, message_id
from services.notifier.core.routing import Recipient, Routing, known_division
from services.notifier.core.words import Wording
from services.notifier.store.rows import AlertRow, DeliveryRow, MessageRow, Register, Told, stored_routing
from shared.alerts import PlanStep, SendReason
from shared.clock import day_of
from shared.policy import Policies, Policy


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decisions of one batch are made with."""

    policies: Policies
    register: Register
    told: Mapping[str, Sequence[Told]]
    public_url: str
    now: datetime
    wording: Wording

    def policy_of(self, division: str) -> Policy:
        """The policy that is in force in a division now; it may say other words and deadlines than its neighbour's."""
        return self.policies.for_division(division).on(day_of(self.now))

    def known_division(self, row: AlertRow) -> str:
        """The household's division, or its nearest ancestor that the register knows."""
        return known_division(row.division, self.register.names)


def message_row(
    row: AlertRow,
    reason: SendReason,
    surroundings: Surroundings,
    *,
    decided_at: datetime,
    since: datetime | None = None,
    task: PlanStep | None = None,
    routing: Routing | None = None,
) -> MessageRow:
    """Put a revision into words.

    decided_at: when what is told was decided; since, task: see `Facts`. routing: None where it goes to those
    told before.
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
        told_at=surroundings.now,
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
    row: AlertRow, recipients: Iterable[Recipient], reason: SendReason, surroundings: Surroundings
) -> list[DeliveryRow]:
    """Draft the deliveries of a revision: one per person and channel, due at once."""
    now, register = surroundings.now, surroundings.register
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
        for recipient in recipients
        for channel in recipient.channels
    ]
