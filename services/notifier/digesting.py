"""By which policy people are paced, and how several deliveries to one person become one message; in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notifier.core.digest_message import Digest, compose_digest
from services.notifier.core.digests import NamedAlert, Onset, arrange, bursts_among, digest_id_of, may_burst
from services.notifier.core.message import Message
from services.notifier.core.pacing import Pace, pace_of
from services.notifier.core.words import Wording
from services.notifier.store.due import DueLine
from shared.alerts import AlertStatus, ChannelName, SendReason, WebhookBody
from shared.clock import day_of
from shared.grades import RiskGrade
from shared.policy import Policies, Policy

_TAKEN_ON = (AlertStatus.ACKNOWLEDGED, AlertStatus.VISITED)


@dataclass(frozen=True, slots=True)
class ToTell:
    """A delivery that goes into a digest. body: what its own message tells webhooks. first_cause: of the opening."""

    line: DueLine
    target: str
    body: str
    first_cause: str | None


@dataclass(frozen=True, slots=True)
class Nearby:
    """An alert of late in one of the digest's villages. reason, body: of its newest message. No body: not told yet."""

    alert_id: str
    onset: Onset
    status: AlertStatus
    revision: int
    acknowledged_revision: int | None
    reason: SendReason
    body: str | None


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a digest is for. division: the person's."""

    staff_id: str
    channel: ChannelName
    division: str


@dataclass(frozen=True, slots=True)
class Written:
    """A digest in final words. earlier: alert_ids that it names although the person was told of them before."""

    digest_id: str
    message: Message
    earlier: tuple[str, ...]


class Digesting:
    """Applies the policy of a person's division to what the person is sent."""

    def __init__(self, policies: Policies, public_url: str, wording: Wording) -> None:
        self._policies = policies
        self._wording = wording
        self._public_url = public_url

    def pace(self, division: str, channel: ChannelName, in_force: Sequence[ChannelName], now: datetime) -> Pace:
        """Return how often a person may be sent a message by a channel; see `core.pacing.pace_of`."""
        return pace_of(self._policy(division, now).delivery.messages_per_person, channel, in_force)

    def burst_since(self, division: str, now: datetime) -> datetime:
        """Return from when on openings count towards a burst."""
        return now - timedelta(minutes=self._policy(division, now).delivery.burst.within_minutes)

    def write(self, person: Addressee, told: Sequence[ToTell], nearby: Iterable[Nearby], now: datetime) -> Written:
        """Put deliveries into one message that names each, and of their bursts what the person was told before."""
        since = self.burst_since(person.division, now)
        new = [self._new(one, since, now) for one in told]
        told_now = {one.alert_id: one.onset for one in new}
        around = {one.alert_id: one for one in nearby}
        onsets: Mapping[str, Onset] = {alert_id: one.onset for alert_id, one in around.items()} | told_now
        bursts = bursts_among(onsets.values(), self._policy(person.division, now).delivery.burst.least)
        here = bursts & frozenset(told_now.values())
        earlier = [
            self._earlier(one, one.body, now)
            for one in around.values()
            if one.body is not None and one.alert_id not in told_now and one.onset in here
        ]
        digest_id = digest_id_of(person.staff_id, person.channel, (one.line.delivery_id for one in told))
        digest = Digest(digest_id, arrange([*new, *earlier], bursts), self._public_url)
        message = compose_digest(digest, person.channel, self._wording)
        return Written(digest_id, message, tuple(one.alert_id for one in earlier))

    def _policy(self, division: str, now: datetime) -> Policy:
        return self._policies.for_division(division).on(day_of(now))

    def _new(self, one: ToTell, since: datetime, now: datetime) -> NamedAlert:
        body, line = WebhookBody.model_validate_json(one.body), one.line
        counts = body.opened_at > since and may_burst(line.grade, one.first_cause)
        return self._named(
            body,
            line.reason,
            line.alert_status,
            now,
            first_cause=one.first_cause if counts else None,
            taken_on=_is_taken_on(line.alert_status, line.revision, line.acknowledged_revision),
        )

    def _earlier(self, one: Nearby, body: str, now: datetime) -> NamedAlert:
        return self._named(
            WebhookBody.model_validate_json(body),
            one.reason,
            one.status,
            now,
            first_cause=one.onset.first_cause,
            taken_on=_is_taken_on(one.status, one.revision, one.acknowledged_revision),
            is_new=False,
        )

    def _named(
        self,
        body: WebhookBody,
        reason: SendReason,
        status: AlertStatus,
        now: datetime,
        *,
        first_cause: str | None,
        taken_on: bool,
        is_new: bool = True,
    ) -> NamedAlert:
        grade = RiskGrade.from_code(body.grade)
        return NamedAlert(
            alert_id=body.alert_id,
            household_id=body.household_id,
            alias=body.alias,
            division=body.division,
            village=body.village,
            grade=grade,
            look=self._policy(body.division, now).look(grade),
            reason=reason,
            status=status,
            revision=body.revision,
            opened_at=body.opened_at,
            acknowledge_by=body.acknowledge_by,
            visit_by=body.visit_by,
            link=body.link,
            first_cause=first_cause,
            is_new=is_new,
            taken_on=taken_on,
        )


def _is_taken_on(status: AlertStatus, revision: int, acknowledged_revision: int | None) -> bool:
    return status in _TAKEN_ON and revision <= (acknowledged_revision or 0)
