"""What becomes of a delivery after an attempt: when it is tried again, and when that ends."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.alerts import TAKEN_BACK, AlertStatus, DeliveryStatus, SendReason

WAITS_SECONDS = (5.0, 30.0, 120.0, 600.0)
LATER_WAITS_SECONDS = 1_800.0
# A receiver may ask for more time, but a message about a household must not lie for hours at its word.
LONGEST_RETRY_AFTER_SECONDS = 1_800.0
NOTICE_GIVEN_UP_AFTER = timedelta(hours=24)
NOTICES = frozenset({*TAKEN_BACK, SendReason.REMINDER, SendReason.TEST})
"""What waits for nobody's acknowledgement: wanted until it is taken, or tried for long enough."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt ended. receipt: what the channel answered, only if it took the message.

    code: short word for the timeline, such as http_500. permanent: can never work. disables: the address is gone.
    pauses_target: it is not this message but the pace that was refused; nothing goes there for retry_after_seconds.
    """

    code: str
    receipt: str | None = None
    permanent: bool = False
    disables: bool = False
    retry_after_seconds: float | None = None
    pauses_target: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The delivery's next state. next_attempt_at: only while it is pending."""

    status: DeliveryStatus
    next_attempt_at: datetime | None = None


SENT = "sent"
"""Code of an attempt whose message was taken."""

OUTAGE_PATTERN = "timeout|connection_refused|no_such_host|disconnected|bad_reply|tls|http_5[0-9][0-9]|smtp_421"
"""Codes after which it is the receiving host that is in trouble, and not this message or this person's mailbox."""

UNCLEAR_PATTERN = "timeout|disconnected|bad_reply|tls|fault|http_5[0-9][0-9]"
"""Codes of failed attempts after which the message may have arrived all the same; after all others it has not."""

_OUTAGE = re.compile(OUTAGE_PATTERN)


def is_outage(code: str) -> bool:
    """Tell whether an attempt's code speaks of the host; then its first success is news for all that waits for it."""
    return _OUTAGE.fullmatch(code) is not None


def judge(
    attempt: Attempt, *, attempts_before: int, now: datetime, spread: float, wanted: bool, given_up: bool = False
) -> Verdict:
    """Choose the next state.

    attempts_before: attempts made before this one. spread: 0..1, random, so that many do not come back at once.
    wanted: False once somebody has acknowledged the alert, or it is closed. given_up: tried for long enough.
    """
    if attempt.receipt is not None:
        return Verdict(DeliveryStatus.SENT)
    if attempt.permanent or given_up:
        return Verdict(DeliveryStatus.FAILED)
    if not wanted:
        return Verdict(DeliveryStatus.SUPPRESSED)
    seconds = wait_seconds(attempts_before, attempt.retry_after_seconds, spread)
    return Verdict(DeliveryStatus.PENDING, now + timedelta(seconds=seconds))


def wait_seconds(attempts_before: int, retry_after_seconds: float | None, spread: float) -> float:
    """Return the pause after a failed attempt: 5 s, 30 s, 2 min, 10 min, then 30 min, each up to a tenth longer."""
    few = attempts_before < len(WAITS_SECONDS)
    plain = (WAITS_SECONDS[attempts_before] if few else LATER_WAITS_SECONDS) * (1 + spread / 10)
    asked = min(max(retry_after_seconds or 0.0, 0.0), LONGEST_RETRY_AFTER_SECONDS)
    return max(plain, asked)


def still_wanted(status: AlertStatus, *, revision: int, acknowledged_revision: int | None, reason: SendReason) -> bool:
    """Tell whether repeating a delivery still helps: not once somebody took on what it tells, or closed the alert."""
    if reason in NOTICES:
        return True
    if status in (AlertStatus.RESOLVED, AlertStatus.WITHDRAWN):
        return False
    return status is AlertStatus.OPEN or revision > (acknowledged_revision or 0)


def is_given_up(reason: SendReason, *, created_at: datetime, now: datetime) -> bool:
    """Tell whether a notice that nobody can acknowledge has been tried for long enough."""
    return reason in NOTICES and now - created_at > NOTICE_GIVEN_UP_AFTER
