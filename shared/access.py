"""Access keys: what a key looks like, what it allows, and how one is checked without keeping it.

A key is `<key_id>.<secret>`; the secret has 256 random bits, so a plain SHA-256 of it is stored and compared in
constant time. A slow password hash would only let strangers burn our processor.
"""

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.events.household_event import SourceClass

ANY_TYPE = "*"


class Scopes(BaseModel):
    """What a key may do.

    division: prefix of 12-digit codes, without the zero tail ("99", "990100101"). types: event types, "*" for all, or
    a family such as "health.*". sourceclasses: as whom it may speak; empty means that it may not write.
    sources: URIs under which it may send, "*" for all, or a beginning such as "urn:dept:health:*". Ids are unique in
    a source and the first event wins, so a department's source should be closed to keys that are not its own.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    division: Annotated[str, Field(pattern=r"^[0-9]{2,12}$")]
    types: tuple[str, ...] = ()
    sourceclasses: tuple[SourceClass, ...] = ()
    sources: tuple[str, ...] = ("*",)
    read_alerts: bool = False
    act_on_alerts: bool = False

    def covers(self, division: str) -> bool:
        """Tell whether a 12-digit division lies within the key's own."""
        return division.startswith(self.division)

    def may_write(self, event_type: str) -> bool:
        """Tell whether events of this rule-book type may be sent."""
        family = event_type.partition(".")[0] + ".*"
        return ANY_TYPE in self.types or event_type in self.types or family in self.types

    def may_send_as(self, source: str) -> bool:
        """Tell whether events may be sent under this source URI."""
        return any(
            source.startswith(allowed[:-1]) if allowed.endswith("*") else source == allowed for allowed in self.sources
        )


class AccessKey(BaseModel):
    """A stored key: all but its secret."""

    model_config = ConfigDict(frozen=True)

    key_id: str
    secret_sha256: bytes
    name: str
    scopes: Scopes
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        """Tell whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def matches(self, secret: str) -> bool:
        """Compare a presented secret in constant time."""
        return hmac.compare_digest(self.secret_sha256, hash_secret(secret))


def make_secret() -> tuple[str, str]:
    """Return a new (key_id, secret); the key shown to its owner is `key_id.secret`."""
    return f"sw{secrets.token_hex(6)}", secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 of a secret, which is all that is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def split_key(presented: str) -> tuple[str, str] | None:
    """Split a presented key into (key_id, secret); None if it does not look like one."""
    key_id, dot, secret = presented.partition(".")
    return (key_id, secret) if dot and key_id and secret and len(presented) <= 200 else None
