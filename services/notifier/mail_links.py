"""Puts into a mail the links by which its receiver, and nobody else, acknowledges alerts without a login."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from services.notifier.core.digest_message import BETWEEN_LANGUAGES
from services.notifier.core.links import Link, LinkState, read_link
from services.notifier.core.message import Message
from services.notifier.core.words import Wording, Words
from services.notifier.settings import NotifierSettings
from services.notifier.store.due import Due, DueLine
from shared.alerts import ENDINGS, SendReason

_NOTHING_TO_ACKNOWLEDGE = (*ENDINGS, SendReason.TEST)
MOST_LINKS = 20
"""Links in one digest, for its worst alerts: nobody takes on more than these at once."""


class MailLinks:
    """Makes and reads links; without a secret there are none."""

    def __init__(self, settings: NotifierSettings, wording: Wording) -> None:
        self._secrets = settings.link_secrets_list
        self._life = timedelta(hours=settings.link_hours)
        self._hours = settings.link_hours
        self._wording = wording
        self._public_url = settings.public_url.rstrip("/")

    async def put_into(self, due: Due) -> Message:
        """Return a message with a link for each alert that can be acknowledged, the same over all attempts."""
        lines = [line for line in due.lines if line.reason not in _NOTHING_TO_ACKNOWLEDGE]
        if not self._secrets or not lines:
            return due.message
        if due.digest_id is not None:
            return replace(due.message, text=self._with_links(due, lines[:MOST_LINKS]))
        address = self._address(due, lines[0])
        said = (self._line(words, address) for words in (self._wording.zh, self._wording.en))
        return replace(due.message, text="\n".join((due.message.text.rstrip("\n"), "", *said, "")))

    def _with_links(self, due: Due, lines: list[DueLine]) -> str:
        """Put the links of a digest under its alerts, in the list of each language."""
        addresses = {f"/alerts/{line.alert_id}": self._address(due, line) for line in lines}
        zh, between, en = due.message.text.partition(BETWEEN_LANGUAGES)
        parts = ((zh, self._wording.zh), (en, self._wording.en))
        return between.join("\n".join(self._under_each(text, addresses, words)) for text, words in parts)

    def _under_each(self, text: str, addresses: Mapping[str, str], words: Words) -> Iterator[str]:
        for line in text.split("\n"):
            yield line
            # The page of an alert stands at the end of its line.
            page = line[line.rfind("/alerts/") :] if "/alerts/" in line else ""
            if page in addresses:
                yield f"  {self._line(words, addresses[page])}"

    def _address(self, due: Due, line: DueLine) -> str:
        link = Link(line.alert_id, line.revision, due.staff_id, line.created_at + self._life)
        return self._public_url + link.path(self._secrets[0])

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
