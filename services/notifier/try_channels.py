"""Send a test message to one person by each of their channels."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from services.notifier.channels.ports import Address, Channel
from services.notifier.core.message import Facts, Message, compose
from services.notifier.core.retries import Attempt
from services.notifier.core.vendor_codes import fix_of
from services.notifier.core.words import Wording
from services.notifier.sms_codes import needing_no_reply
from services.notifier.store.directory import Directory
from shared.alerts import ChannelName, SendReason
from shared.grades import RiskGrade
from shared.policy import Look

CLOSED = "closed, because its receiver was gone: give another in the staff list and import it"


async def try_channels(
    directory: Directory,
    channels: Sequence[Channel],
    staff_id: str,
    public_url: str,
    wording: Wording,
    *,
    takes_replies: bool = False,
) -> list[tuple[bool, str]] | None:
    """Return per channel whether the message was taken, and in words; None if there is no such person.

    takes_replies: text messages say how to answer them.
    """
    person = await directory.find(staff_id)
    if person is None:
        return None
    in_force = {one.channel: one for one in person.contacts if one.disabled_at is None}
    outcomes = []
    for channel in channels:
        if channel.name not in in_force:
            is_closed = any(one.channel == channel.name for one in person.contacts)
            why = CLOSED if is_closed else "not used for this person"
            outcomes.append((not is_closed, f"{channel.name}: {why}"))
            continue
        contact = in_force[channel.name]
        address = Address(person.staff_id, contact.address, contact.secret)
        message = _message(public_url, wording)
        if takes_replies and channel.name is ChannelName.ALIYUN_SMS:
            message = needing_no_reply(message, wording)
        attempt = await channel.send(address, message, f"msg_{uuid.uuid4().hex}")
        taken = attempt.receipt is not None
        outcomes.append((taken, f"{channel.name}: {_words(channel.name, attempt)}"))
    return outcomes if in_force else [*outcomes, (False, "no channel: give this person an email or another way")]


def _words(channel: ChannelName, attempt: Attempt) -> str:
    if attempt.receipt is not None:
        return f"sent ({attempt.receipt})"
    fix = fix_of(channel, attempt.code)
    return f"failed ({attempt.code})" + (f": {fix}" if fix else "")


def _message(public_url: str, wording: Wording) -> Message:
    now = datetime.now(UTC)
    test_zh, test_en = (words.pgettext("name of what is not real", "test") for words in (wording.zh, wording.en))
    facts = Facts(
        alert_id="test",
        household_id="TEST",
        alias=None,
        division="990000000000",
        village=test_zh,
        grade=RiskGrade.GREEN,
        look=Look(colour="#166534", sign="○", word_zh=test_zh, word_en=test_en),
        reason=SendReason.TEST,
        revision=1,
        opened_at=now,
        told_at=now,
        acknowledge_by=None,
        visit_by=None,
        public_url=public_url,
    )
    return compose(facts, wording)
