"""Puts into a mail the link by which its receiver, and nobody else, acknowledges the alert without a login."""

from dataclasses import replace
from datetime import datetime, timedelta

from services.notifier.core.links import Link, LinkState, read_link
from services.notifier.core.message import Message
from services.notifier.core.words import Wording, Words
from services.notifier.settings import NotifierSettings
from services.notifier.store.due import Due
from shared.alerts import ENDINGS, SendReason

_NOTHING_TO_ACKNOWLEDGE = (*ENDINGS, SendReason.TEST)


class MailLinks:
    """Makes and reads links; without a secret there are none."""

    def __init__(self, settings: NotifierSettings, wording: Wording) -> None:
        self._secrets = settings.link_secrets_list
        self._life = timedelta(hours=settings.link_hours)
        self._hours = settings.link_hours
        self._wording = wording
        self._public_url = settings.public_url.rstrip("/")

    async def put_into(self, due: Due) -> Message:
        """Return a delivery's message with its link, which is the same over all attempts; a digest has none."""
        line = due.lines[0]
        if not self._secrets or due.digest_id is not None or line.reason in _NOTHING_TO_ACKNOWLEDGE:
            return due.message
        link = Link(line.alert_id, line.revision, due.staff_id, line.created_at + self._life)
        address = self._public_url + link.path(self._secrets[0])
        lines = (self._line(words, address) for words in (self._wording.zh, self._wording.en))
        return replace(due.message, text="\n".join((due.message.text.rstrip("\n"), "", *lines, "")))

    def _line(self, words: Words, address: str) -> str:
        return words.ngettext(
            "Acknowledge without login (for you alone, once, within %(count)d hour): %(address)s",
            "Acknowledge without login (for you alone, once, within %(count)d hours): %(address)s",
            self._hours,
            address=address,
        )

    def read(self, path: str, now: datetime) -> tuple[Link | None, LinkState]:
        """Read what follows /sign/ in an address."""
        return read_link(path, self._secrets, now)
