"""The page of one digest: exactly the alerts that its message names, as they stand now."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.notifier.auth import caller_of
from services.notifier.console.auth import Logins
from services.notifier.console.pages import Pages
from services.notifier.console.places import read_place, write_place
from services.notifier.console.queries import ConsoleQueries
from services.notifier.console.routes import to_login
from services.notifier.core.digests import is_digest_id


class DigestPages:
    """Answers what concerns one digest. Everybody sees of it what lies within their own reach."""

    def __init__(self, pages: Pages, logins: Logins, queries: ConsoleQueries) -> None:
        self._pages = pages
        self._logins = logins
        self._queries = queries

    def routes(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/digests/{digest_id}", self.show, methods=["GET"])
        return router

    async def show(
        self, request: Request, digest_id: str, after: Annotated[str | None, Query(max_length=120)] = None
    ) -> Response:
        """The alerts of one digest, worst first, then oldest."""
        visitor = await self._logins.visitor(request)
        if visitor is None:
            return to_login(request)
        reach, place = caller_of(visitor.person).reach, read_place(after)
        found = await self._queries.digest_alerts(reach, digest_id, place) if is_digest_id(digest_id) else None
        if found is None:
            _ = self._pages.words.gettext
            text = _("There is no such digest, or it holds no alert of your division.")
            return self._pages.fault(visitor, 404, _("Not found"), text)
        alerts, told_at = found
        return self._pages.show(
            "digest.html",
            visitor,
            found=alerts,
            digest_id=digest_id,
            told_at=told_at,
            following=write_place(alerts) if alerts.more else None,
            first=after is None,
        )
