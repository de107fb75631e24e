"""Who calls the API: a program with a key, or a person with a console session; each sees its own divisions only."""

import hmac
from dataclasses import dataclass

from fastapi import Request

from services.notifier.console.auth import Logins
from services.notifier.core.routing import reach_of
from services.notifier.store.rows import StaffRow
from shared.errors import RefusedRequest
from shared.http.bearer import KeyCache

CSRF_HEADER = "x-csrf-token"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose request we serve. actor: staff_id, or key:<id>. reach: prefix of the divisions they may see."""

    actor: str
    reach: str


def caller_of(person: StaffRow) -> Caller:
    """Return a person as a caller."""
    return Caller(person.staff_id, reach_of(person.role, person.division))


class ApiCallers:
    """Recognises the callers of the API."""

    def __init__(self, keys: KeyCache, logins: Logins) -> None:
        self._keys = keys
        self._logins = logins

    async def reader(self, request: Request) -> Caller:
        """Return who may read alerts. Raises RefusedRequest (401, 403)."""
        visitor = await self._visitor(request)
        return caller_of(visitor[0]) if visitor else self._program(request, acting=False)

    async def actor(self, request: Request) -> Caller:
        """Return who may act on alerts. Raises RefusedRequest (401, 403)."""
        visitor = await self._visitor(request)
        if visitor is None:
            return self._program(request, acting=True)
        person, csrf = visitor
        # A browser sends the cookie by itself, also for a foreign page's form; this header it does not.
        if not hmac.compare_digest(request.headers.get(CSRF_HEADER, "").encode(), csrf.encode()):
            raise RefusedRequest("forbidden", "with a session, send its token as X-CSRF-Token")
        return caller_of(person)

    async def _visitor(self, request: Request) -> tuple[StaffRow, str] | None:
        if "authorization" in request.headers:
            return None
        visitor = await self._logins.visitor(request)
        return None if visitor is None else (visitor.person, visitor.csrf)

    def _program(self, request: Request, *, acting: bool) -> Caller:
        key = self._keys.authenticate(request)
        if not (key.scopes.act_on_alerts if acting else key.scopes.read_alerts):
            raise RefusedRequest("forbidden", f"the key lacks {'act_on_alerts' if acting else 'read_alerts'}")
        return Caller(f"key:{key.key_id}", key.scopes.division)
