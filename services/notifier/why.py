"""Answer "who was told of this alert, by which way, what became of it, and why not the others"."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from services.notifier.core.reasons import Code, Outcome, Stage, Wait
from services.notifier.core.routing import Heard
from shared.alerts import AlertStatus, ChannelName, DeliveryLine, SendReason, TimelineStep
from shared.clock import to_rfc3339
from shared.events.envelope import Instant
from shared.grades import GradeCode


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True)


class AttemptLine(_Shape):
    """One attempt. outcome: sent, retry, failed or suppressed; detail: code such as http_500."""

    at: Instant
    outcome: str
    detail: str


class WhyDelivery(DeliveryLine):
    """A delivery with each of its attempts, oldest first.

    digest: in which digest it goes or went, together with so many others; null: by itself. waits, waits_until: why it
    is not sent yet, and until when, once known. waits_for_turn_until: the same for message_budget alone: the person has
    had as many messages as the policy lets anybody have, and gets the next one then, with all that waits.
    """

    tries: tuple[AttemptLine, ...]
    digest: str | None = None
    digest_others: int | None = None
    waits: Wait | None = None
    waits_until: Instant | None = None
    waits_for_turn_until: Instant | None = None


class WhyStep(_Shape):
    """One stage of the way to a person. channel: of pace and receipt. until: until when it waited, once known."""

    stage: Stage
    outcome: Outcome
    code: Code
    channel: ChannelName | None = None
    until: Instant | None = None


class WhyPerson(_Shape):
    """Why one person was told of a revision, or was not. instead_of: the absent person that a stand-in heard for.

    role, division: the post at that time; null for somebody who was told before. steps: up to the one that ended it.
    """

    staff_id: str
    role: str | None
    division: str | None
    heard: Heard
    instead_of: str | None
    steps: tuple[WhyStep, ...]
    deliveries: tuple[WhyDelivery, ...]


class WhyRevision(_Shape):
    """One telling: who of the division and all above it heard, and who did not."""

    revision: int
    reason: SendReason
    decided_at: Instant
    people: tuple[WhyPerson, ...]


class AlertWhy(_Shape):
    """All that is known of an alert's tellings, oldest first."""

    id: str
    household_id: str
    division: str
    grade: GradeCode
    status: AlertStatus
    opened_at: Instant
    owner: str | None
    unreachable: bool
    timeline: tuple[TimelineStep, ...]
    revisions: tuple[WhyRevision, ...]

    def about(self, person: WhyPerson) -> "AlertWhy":
        """The same with one person alone, who stands as given wherever they were not thought of at the time."""
        revisions = []
        for one in self.revisions:
            theirs = tuple(known for known in one.people if known.staff_id == person.staff_id)
            revisions.append(one.model_copy(update={"people": theirs or (person,)}))
        return self.model_copy(update={"revisions": tuple(revisions)})


_WAITS = {
    Wait.MESSAGE_BUDGET: "waits for the person's message budget, then goes out with all that waits",
    Wait.RECEIVER_LIMIT: "waits for the receiver, which takes only so many messages at a time",
    Wait.IN_DIGEST: "waits for its digest to be sent",
}


def explain(why: AlertWhy) -> list[str]:
    """Return the lines to print."""
    return [*_head(why), *_steps(why), *(line for revision in why.revisions for line in _revision(revision))]


def _head(why: AlertWhy) -> Iterator[str]:
    yield f"alert {why.id}: household {why.household_id}, division {why.division}"
    yield f"  {why.grade}, {why.status}, opened {to_rfc3339(why.opened_at)}, owner {why.owner or 'nobody'}"
    if why.unreachable:
        yield "  UNREACHABLE: nobody could be found to tell"


def _steps(why: AlertWhy) -> Iterator[str]:
    yield "timeline:"
    for step in why.timeline:
        grades = f" {step.old_grade or '-'} -> {step.new_grade}" if step.new_grade else ""
        yield f"  {to_rfc3339(step.at)} {step.kind}{grades} by {step.actor} [{step.reason or '-'}]"


def _revision(revision: WhyRevision) -> Iterator[str]:
    yield f"revision {revision.revision} ({revision.reason}), decided {to_rfc3339(revision.decided_at)}:"
    if not any(person.deliveries for person in revision.people):
        yield "  told: nobody"
    for person in revision.people:
        post = f" ({person.role} of {person.division})" if person.role else ""
        instead = f" for {person.instead_of}" if person.instead_of else ""
        yield f"  {person.staff_id}{post}: {person.heard}{instead}"
        yield f"    {' > '.join(_step(step) for step in person.steps)}"
        for line in person.deliveries:
            became = line.receipt or line.detail or "not tried yet"
            yield f"    by {line.channel}, {line.routed_as}: {line.status} after {line.attempts} attempts, {became}"
            if line.digest is not None:
                yield f"      in digest {line.digest}, with {line.digest_others} others"
            if line.waits is not None:
                yield f"      {_WAITS[line.waits]}{_until(line.waits_until)}"
            for tried in line.tries:
                yield f"      {to_rfc3339(tried.at)} {tried.outcome} ({tried.detail})"


def _step(step: WhyStep) -> str:
    by = f" by {step.channel}" if step.channel else ""
    return f"{step.stage}: {step.code}{by}{_until(step.until)}"


def _until(instant: Instant | None) -> str:
    return f" until {to_rfc3339(instant)}" if instant else ""
