"""Acknowledging by text message: the code that a message carries, what a reply means, and which alert is meant.

A code belongs to one person and one alert. Whoever replies with it, or with "1" where only one alert can be meant,
takes that alert on. Everything else does nothing.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

ALPHABET = "ACDEFGHJKMNPQRTUVWXY34679"
"""Without signs that are taken for one another: 0 and O, 1 and I and L, 2 and Z, 5 and S, 8 and B."""
CODE_LENGTH = 4
# "1 AB34", "签收AB34", "AB34", "1"; case, width, and signs around and between do not matter.
_CODE = rf"[{ALPHABET}]{{{CODE_LENGTH}}}"
_MEANT = re.compile(rf"[\W_]*(?:(?:1|签收)[\W_]*(?P<after>{_CODE})?|(?P<alone>{_CODE}))[\W_]*")
_LONGEST_MEANT = 100
_MOBILE = re.compile(r"(?:(?:\+|00)?86)?(1[3-9][0-9]{9})")
_SEQUENCE_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class ReplyOutcome(StrEnum):
    """What became of a reply; stored and counted."""

    ACKNOWLEDGED = "acknowledged"
    ALREADY_HELD = "already_held"
    REFUSED = "refused"
    CODE_NEEDED = "code_needed"
    NOTHING_OPEN = "nothing_open"
    UNKNOWN_CODE = "unknown_code"
    UNKNOWN_PHONE = "unknown_phone"
    NOT_UNDERSTOOD = "not_understood"
    UNREADABLE = "unreadable"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply as the vendor passes it on. sequence_id: the same when it is passed on again. phone: 11 digits."""

    sequence_id: str
    phone: str
    content: str

    def __repr__(self) -> str:
        return f"Reply(sequence_id={self.sequence_id!r})"


@dataclass(frozen=True, slots=True)
class Meant:
    """What a reply says: to acknowledge. code: None if it names no alert."""

    code: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that a person was told of by text message, with the code of theirs.

    is_waiting: a message about it was, or may have been, taken, and nobody has answered what it told.
    """

    staff_id: str
    alert_id: str
    code: str
    is_waiting: bool


def code_of(staff_id: str, alert_id: str, turn: int) -> str:
    """Make a code. turn: 0 first; each next one makes another code, for when the person has that one already."""
    digest = hashlib.blake2b(f"{staff_id}/{alert_id}/{turn}".encode(), digest_size=8).digest()
    number, code = int.from_bytes(digest), ""
    for _ in range(CODE_LENGTH):
        number, place = divmod(number, len(ALPHABET))
        code += ALPHABET[place]
    return code


def mobile_number(text: str) -> str | None:
    """Return the 11 digits of a mobile number, however it is written; None if it is none."""
    match = _MOBILE.fullmatch(text.replace(" ", "").replace("-", ""))
    return match[1] if match and match[0].isascii() else None


def read_reply(item: object) -> Reply | None:
    """Read one element of what the vendor posts; None if it is no reply that could be told from its repeat.

    The vendor's sequence_id is a text in some of its releases and a number in others.
    """
    if not isinstance(item, Mapping):
        return None
    sequence_id, phone, content = (item.get(name) for name in ("sequence_id", "phone_number", "content"))
    if isinstance(sequence_id, float) and sequence_id.is_integer():
        sequence_id = int(sequence_id)
    if isinstance(sequence_id, int) and not isinstance(sequence_id, bool):
        sequence_id = str(sequence_id)
    if not (isinstance(sequence_id, str) and isinstance(phone, str) and isinstance(content, str)):
        return None
    mobile = mobile_number(phone)
    # Whose number we cannot read is nobody whom we know.
    return Reply(sequence_id, mobile or "", content) if _SEQUENCE_ID.fullmatch(sequence_id) else None


def understand(content: str) -> Meant | None:
    """Say what a reply means; None if it is no acknowledgement."""
    if len(content) > _LONGEST_MEANT:
        return None
    match = _MEANT.fullmatch(unicodedata.normalize("NFKC", content).upper())
    return None if match is None else Meant(match["after"] or match["alone"])


def choose(meant: Meant, told: Sequence[Told]) -> Told | ReplyOutcome:
    """Choose which alert is meant, or say why none is. told: what those with this phone were told of."""
    if meant.code is not None:
        named = [one for one in told if one.code == meant.code]
        return named[0] if len(named) == 1 else ReplyOutcome.UNKNOWN_CODE
    waiting = [one for one in told if one.is_waiting]
    if len(waiting) == 1:
        return waiting[0]
    return ReplyOutcome.CODE_NEEDED if waiting else ReplyOutcome.NOTHING_OPEN
