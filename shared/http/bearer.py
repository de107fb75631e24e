"""Bearer keys at the HTTP edge, against a cache that outlives the database's absence."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from fastapi import Request

from shared.access import AccessKey, split_key
from shared.clock import Clock
from shared.errors import RefusedRequest, TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger

log = get_logger(__name__)
REFRESH_SECONDS = 3.0


class KeySource(Protocol):
    """Reads the access keys. Raises TemporaryFailure while the database is away."""

    async def access_keys(self) -> Mapping[str, AccessKey]:
        """Return every key by its id, revoked ones too."""
        ...


class KeyCache:
    """The keys in memory, refreshed every few seconds; the last good copy serves while the database is away."""

    def __init__(self, source: KeySource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._keys: Mapping[str, AccessKey] = {}
        self._refreshed_at: datetime | None = None

    async def refresh(self) -> bool:
        """Read the keys again; answer False, so that `every` waits before the next time."""
        try:
            self._keys = await self._source.access_keys()
            self._refreshed_at = self._clock.now()
        except TemporaryFailure as error:
            log.warning("access keys could not be refreshed; the last good copy serves", reason=str(error))
        return False

    async def run(self, stop: asyncio.Event) -> None:
        """Refresh until stopped; a supervised task."""
        await every(REFRESH_SECONDS, self.refresh, stop)

    async def check_ready(self) -> None:
        """Raise TemporaryFailure until the keys have been read once."""
        if self._refreshed_at is None:
            raise TemporaryFailure("access keys have not been read yet")

    def authenticate(self, request: Request) -> AccessKey:
        """Return the key in force that the request carries. Raises RefusedRequest (401)."""
        if self._refreshed_at is None:
            raise TemporaryFailure("access keys have not been read yet")
        scheme, _, presented = _authorization(request).partition(" ")
        parts = split_key(presented.strip()) if scheme.lower() == "bearer" else None
        if parts is None:
            raise RefusedRequest("unauthorised", "send Authorization: Bearer <key>")
        key = self._keys.get(parts[0])
        if key is None or not key.matches(parts[1]) or not key.in_force(self._clock.now()):
            raise RefusedRequest("unauthorised", "this key is unknown, expired or revoked")
        return key


def _authorization(request: Request) -> str:
    # The header as it came: wrapping all of them for one costs more than the look-up of the key.
    return next((value.decode("latin-1") for name, value in request.scope["headers"] if name == b"authorization"), "")
