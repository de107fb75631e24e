"""Puts into a text message how its receiver, and nobody else, answers it."""

from dataclasses import replace

from services.notifier.core.message import Message
from services.notifier.core.words import Wording
from services.notifier.store.due import Due
from services.notifier.store.sms_replies import SmsReplies
from shared.alerts import ENDINGS, SendReason

_NOTHING_TO_ANSWER = (*ENDINGS, SendReason.REMINDER, SendReason.TEST)


class SmsCodes:
    """Adds to a message's brief a line with the receiver's code for the alert; see `core.message.sms_variables`."""

    def __init__(self, replies: SmsReplies, wording: Wording) -> None:
        self._replies = replies
        self._wording = wording

    async def put_into(self, due: Due) -> Message:
        """Return a delivery's message with how to answer it, the same over all attempts. Raises TemporaryFailure."""
        if due.digest_id is not None:
            # A reply names one alert, and a digest tells many.
            return _with_line(due.message, self._wording.zh.gettext("acknowledge on the page of the link"))
        line = due.lines[0]
        if line.reason in _NOTHING_TO_ANSWER:
            return needing_no_reply(due.message, self._wording)
        code = await self._replies.code(due.staff_id, line.alert_id)
        return _with_line(due.message, self._wording.zh.gettext("reply “1 %(code)s” to acknowledge", code=code))


def needing_no_reply(message: Message, wording: Wording) -> Message:
    """Return a message that says that nothing is to be answered."""
    return _with_line(message, wording.zh.gettext("no reply is needed"))


def _with_line(message: Message, line: str) -> Message:
    return replace(message, brief=f"{message.brief}\n{line}")
