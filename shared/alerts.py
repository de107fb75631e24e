"""Alerts: the words of their life, and the shapes that clients and webhook receivers may rely on.

An alert is a change of grade that staff must see. A household has at most one alert under way; `revision` counts what
was told about it, from 1. A delivery is one line of telling: alert x revision x person x channel.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events.envelope import Instant
from shared.grades import GradeCode, Measure, PolicyRef, Reason


class AlertStatus(StrEnum):
    """Where an alert stands. It has an owner from `acknowledged` on."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    VISITED = "visited"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"


UNDER_WAY = (AlertStatus.OPEN, AlertStatus.ACKNOWLEDGED, AlertStatus.VISITED)
"""A household has at most one alert in these."""


class DeliveryStatus(StrEnum):
    """pending: tried until it works; sent: the channel took it; failed: never can; suppressed: not needed any more."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


class ChannelName(StrEnum):
    """How a person is told."""

    SMTP = "smtp"
    WEBHOOK = "webhook"
    WECOM_ROBOT = "wecom_robot"
    WECOM_APP = "wecom_app"
    DINGTALK = "dingtalk"
    FEISHU = "feishu"
    ALIYUN_SMS = "aliyun_sms"


class SendReason(StrEnum):
    """Why a revision is told."""

    OPENED = "opened"
    GRADE_WORSE = "grade_worse"
    NEW_FIRST_CAUSE = "new_first_cause"
    OVERDUE = "overdue"
    OVERDUE_VISIT = "overdue_visit"
    REMINDER = "reminder"
    WITHDRAWN = "withdrawn"
    HOUSEHOLD_CLOSED = "household_closed"
    CORRECTED = "corrected"
    TEST = "test"


ENDINGS = (SendReason.WITHDRAWN, SendReason.HOUSEHOLD_CLOSED)
"""With these, those who were told hear that nothing needs to be done any more."""
TAKEN_BACK = (*ENDINGS, SendReason.CORRECTED)
"""With these, those who were told hear that less is true than they were told."""


class StepKind(StrEnum):
    """One line of an alert's timeline."""

    OPENED = "opened"
    WORSENED = "worsened"
    IMPROVED = "improved"
    CORRECTED = "corrected"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"
    TAKEN_OVER = "taken_over"
    CLIMBED = "climbed"
    HOP_FAILED = "hop_failed"
    OVERDUE_VISIT = "overdue_visit"
    REMINDED = "reminded"
    DELIVERY_FAILED = "delivery_failed"
    REROUTED = "rerouted"
    UNREACHABLE = "unreachable"
    WITHDRAWN = "withdrawn"
    VISITED = "visited"
    VISITED_IN_VAIN = "visited_in_vain"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    COMMENTED = "commented"
    REPLY_UNCLEAR = "reply_unclear"
    SILENCED = "silenced"
    SILENCE_ENDED = "silence_ended"
    SILENCE_EXPIRED = "silence_expired"


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class WebhookBody(_Shape):
    """What a webhook receiver gets; details only after login. type: cn.shouwang.alert.<why it is sent>.v1."""

    type: str
    alert_id: str
    household_id: str
    alias: str | None
    division: str
    village: str
    grade: GradeCode
    opened_at: Instant
    acknowledge_by: Instant | None
    visit_by: Instant | None
    link: str
    revision: int


class DigestAlert(_Shape):
    """One alert as a digest names it. reason: why it is told; status: where it stood when the digest was written.

    is_new: told now; else told before, and named again because it belongs to a burst. burst: its place in `bursts`.
    """

    alert_id: str
    household_id: str
    alias: str | None
    division: str
    village: str
    grade: GradeCode
    reason: SendReason
    status: AlertStatus
    opened_at: Instant
    acknowledge_by: Instant | None
    visit_by: Instant | None
    link: str
    revision: int
    is_new: bool
    burst: int | None


class DigestBurst(_Shape):
    """Alerts of one village that opened together; so many households in all, so many of them told now.

    named: of how many `alerts` tells more. Of those told before, a message names no more than fit into some 1 MB.
    """

    division: str
    village: str
    grade: GradeCode
    households: int
    new: int
    named: int


class DigestBody(_Shape):
    """What a webhook receiver gets in place of several messages at once; every new alert is named, worst first."""

    type: Literal["cn.shouwang.alert.digest.v1"] = "cn.shouwang.alert.digest.v1"
    digest_id: str
    alerts: tuple[DigestAlert, ...]
    bursts: tuple[DigestBurst, ...]
    link: str


class PlanStep(_Shape):
    """One dated step of the emergency plan. repeat_minutes: due again and again until the grade falls."""

    step: str
    due_at: Instant
    text_zh: str
    text_en: str
    repeat_minutes: int | None = None


class DeliveryLine(_Shape):
    """One delivery; recipient is a staff_id, receipt what the channel answered.

    held: why it had to wait at first (quiet_hours, daily_cap). held_until: until when; null while it is not known.
    """

    recipient: str
    channel: ChannelName
    status: DeliveryStatus
    attempts: int
    receipt: str | None
    revision: int
    reason: SendReason
    routed_as: str
    detail: str | None
    next_attempt_at: Instant | None
    sent_at: Instant | None
    held: str | None = None
    held_until: Instant | None = None


class TimelineStep(_Shape):
    """One line of the timeline. actor: staff_id, key:<id>, or system. measures: what a visitor arranged."""

    at: Instant
    kind: StepKind
    actor: str
    note: str | None
    old_grade: GradeCode | None = None
    new_grade: GradeCode | None = None
    reason: str | None = None
    measures: tuple[str, ...] = ()


class Alert(_Shape):
    """An alert as clients see it. owner: who acknowledged it."""

    id: str
    household_id: str
    alias: str | None
    division: str
    grade: GradeCode
    status: AlertStatus
    opened_at: Instant
    updated_at: Instant
    owner: str | None
    acknowledged_at: Instant | None
    visited_at: Instant | None
    closed_at: Instant | None
    acknowledge_by: Instant | None
    visit_by: Instant | None
    revision: int
    unreachable: bool
    causes: tuple[str, ...]
    suggested_category: str | None
    policy: PolicyRef
    reasons: tuple[Reason, ...]
    measures: tuple[Measure, ...]
    plan: tuple[PlanStep, ...]
    deliveries: tuple[DeliveryLine, ...]


class AlertDetail(Alert):
    """One alert with its timeline, oldest step first."""

    timeline: tuple[TimelineStep, ...]


class AlertPage(_Shape):
    """A page of alerts, newest first; next: cursor of the page after it, null at the end."""

    items: tuple[Alert, ...]
    next: str | None


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


Note = Annotated[str, Field(max_length=1_000)]
Words = Annotated[str, Field(min_length=1, max_length=1_000, pattern=r"\S")]
MeasureCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
VisitResult = Literal["relief_given", "stable", "needs_plan", "not_found"]
Resolution = Literal["risk_removed", "measures_done", "passed_on", "mistaken"]


class Acknowledgement(_Body):
    """Body of an acknowledgement; all may be left out. take_over: also from someone who holds the alert already."""

    note: Note | None = None
    take_over: bool = False


class Visit(_Body):
    """Body of a visit. measures: codes of what was arranged there. not_found: nobody met, the visit is still owed."""

    result: VisitResult
    measures: Annotated[tuple[MeasureCode, ...], Field(max_length=20, strict=False)] = ()
    note: Note | None = None


class Closing(_Body):
    """Body of a resolving: why the alert needs nobody any more."""

    resolution: Resolution
    note: Note | None = None


class Reopening(_Body):
    """Body of a reopening; note: what happened since."""

    note: Words


class Comment(_Body):
    """Body of a comment."""

    note: Words
