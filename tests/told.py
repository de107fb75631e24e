"""Which alerts a message names, as its reader finds them: in the words of a mail, or in a webhook's body."""

import json
import re
from typing import NamedTuple

_ALERT = re.compile(r"/alerts/([0-9A-Za-z]+)")
_HOUSEHOLD = re.compile(r"^Household: (\S+)\s*$", re.MULTILINE)
# A line of a digest's English list: household, village in brackets unless it stands above, what to do, link.
_LINE = re.compile(r"^(\[new\] )?(.+?)( \([^()]*\))?: .*, http\S+/alerts/([0-9A-Za-z]+)\s*$", re.MULTILINE)
_DIGEST = re.compile(r"/digests/(d[0-9a-z]+)")


class Named(NamedTuple):
    """One alert that a message names. is_new: told now; a digest also repeats what belongs to the same burst."""

    alert_id: str | None
    household: str | None
    is_new: bool = True


class Message(NamedTuple):
    """What a message says of itself. digest_id: None for a message about a single alert."""

    alerts: tuple[Named, ...]
    digest_id: str | None = None

    @property
    def alert_id(self) -> str | None:
        """Of a message about a single alert."""
        return self.alerts[0].alert_id if self.digest_id is None and self.alerts else None

    @property
    def household(self) -> str | None:
        """Of a message about a single alert."""
        return self.alerts[0].household if self.digest_id is None and self.alerts else None


def read_mail(text: str) -> Message:
    """Read a mail's text."""
    digest = _DIGEST.search(text)
    if digest is None:
        return Message((Named(_first(_ALERT, text), _first(_HOUSEHOLD, text)),))
    # Outside a burst nothing is marked, and all of it is new.
    lines = _LINE.finditer(text.replace("\r\n", "\n"))
    return Message(tuple(Named(line[4], line[2], bool(line[1] or line[3])) for line in lines), digest[1])


def read_webhook(body: bytes | str) -> Message:
    """Read a webhook's body; one that cannot be read names nothing."""
    try:
        said = json.loads(body)
        if said.get("type") == "cn.shouwang.alert.digest.v1":
            alerts = (Named(one["alert_id"], one["household_id"], one["is_new"]) for one in said["alerts"])
            return Message(tuple(alerts), said["digest_id"])
        return Message((Named(said["alert_id"], said["household_id"]),))
    except (ValueError, LookupError, TypeError, AttributeError):
        return Message((Named(None, None),))


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found.group(1) if found else None
