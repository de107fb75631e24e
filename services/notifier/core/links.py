"""Links in mail by which one person acknowledges one alert, once, without a login: what is signed, and what is checked.

A link names alert, revision, person and the end of its life, under a MAC of them all. Whether it was used is on the
alert's timeline, not here.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

_PURPOSE = "shouwang acknowledge link 1"
_PARTS = 5


class LinkState(StrEnum):
    """What a link is worth, apart from what became of its alert."""

    GOOD = "good"
    EXPIRED = "expired"
    FORGED = "forged"


@dataclass(frozen=True, slots=True)
class Link:
    """Whom a link lets acknowledge what; ends_at: in whole seconds."""

    alert_id: str
    revision: int
    staff_id: str
    ends_at: datetime

    def path(self, secret: str) -> str:
        """Return the link's path on the console, signed with a secret."""
        return "/".join(("/sign", *self._said(), self._mac(secret)))

    def is_signed(self, mac: str, secrets: Sequence[str]) -> bool:
        """Tell whether one of the secrets made this MAC; compared in constant time."""
        return any(hmac.compare_digest(mac.encode(), self._mac(secret).encode()) for secret in secrets)

    def _said(self) -> tuple[str, ...]:
        return (self.alert_id, str(self.revision), self.staff_id, str(int(self.ends_at.timestamp())))

    def _mac(self, secret: str) -> str:
        said = "\n".join((_PURPOSE, *self._said()))
        return hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()


def read_link(path: str, secrets: Sequence[str], now: datetime) -> tuple[Link | None, LinkState]:
    """Read what follows /sign/ in an address. The link is None exactly where it is forged.

    secrets: those in use, the newest first; none means that no link is good.
    """
    parts = path.split("/")
    if len(parts) != _PARTS or not path.isascii() or not (_is_number(parts[1]) and _is_number(parts[3])):
        return None, LinkState.FORGED
    link = Link(parts[0], int(parts[1]), parts[2], datetime.fromtimestamp(int(parts[3]), UTC))
    if not link.is_signed(parts[4], secrets):
        return None, LinkState.FORGED
    return link, LinkState.GOOD if now < link.ends_at else LinkState.EXPIRED


def _is_number(text: str) -> bool:
    return text.isdigit() and len(text) <= 10 and (text == "0" or not text.startswith("0"))
