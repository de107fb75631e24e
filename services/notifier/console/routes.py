"""The console's pages: log in, and see what is open."""

import secrets
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from services.notifier.auth import caller_of
from services.notifier.console.auth import LoginOutcome, Logins, same
from services.notifier.console.own_forms import OwnForms
from services.notifier.console.pages import SEE_OTHER, Pages
from services.notifier.console.places import read_place, write_place
from services.notifier.console.queries import ConsoleQueries
from services.notifier.metrics import NotifierMetrics

LOGIN_TOKEN_COOKIE = "shouwang_login"  # noqa: S105 - the cookie's name


class Console:
    """Answers the console's requests. more: the routes of its other pages."""

    def __init__(
        self,
        pages: Pages,
        logins: Logins,
        queries: ConsoleQueries,
        forms: OwnForms,
        more: Sequence[APIRouter],
        metrics: NotifierMetrics,
    ) -> None:
        self._pages = pages
        self._logins = logins
        self._queries = queries
        self._forms = forms
        self._more = more
        self._metrics = metrics

    def routes(self) -> APIRouter:
        """Return the console's routes."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self.list_open, methods=["GET"])
        router.add_api_route("/static/grades.css", self.show_grade_colours, methods=["GET"])
        router.add_api_route("/list", self.show_list, methods=["GET"])
        router.add_api_route("/login", self.show_login, methods=["GET"])
        router.add_api_route("/login", self.log_in, methods=["POST"])
        router.add_api_route("/logout", self.log_out, methods=["POST"])
        for pages in self._more:
            router.include_router(pages)
        return router

    async def show_grade_colours(self) -> Response:
        """The stylesheet that the policies make; it holds nothing that needs a login."""
        return self._pages.grade_colours()

    async def show_login(self, request: Request, next: str = "/") -> Response:
        """The form."""
        if await self._logins.visitor(request):
            return RedirectResponse(local_path(next), SEE_OTHER)
        return self._login_page(request, local_path(next), "")

    async def log_in(
        self,
        request: Request,
        staff_id: Annotated[str, Form(max_length=100)] = "",
        password: Annotated[str, Form(max_length=1_000)] = "",
        token: Annotated[str, Form(max_length=100)] = "",
        next: Annotated[str, Form(max_length=500)] = "/",
    ) -> Response:
        """Check account and password, begin a session, go on to where the person came from."""
        _ = self._pages.words.gettext
        onward = local_path(next)
        cookie = request.cookies.get(LOGIN_TOKEN_COOKIE, "")
        # Also a login can be forged: the victim would then work, and write, in somebody else's account.
        if not cookie or not same(token, cookie) or not self._forms.is_own(request):
            return self._login_page(request, onward, _("The login page has expired; please try again."), 403)
        answer = RedirectResponse(onward, SEE_OTHER)
        address = request.client.host if request.client else "unknown"
        outcome = await self._logins.log_in(answer, staff_id.strip(), password, address)
        self._metrics.logins.labels(outcome).inc()
        match outcome:
            case LoginOutcome.ACCEPTED:
                answer.delete_cookie(LOGIN_TOKEN_COOKIE, path="/login")
                return answer
            case LoginOutcome.LIMITED:
                limited = self._login_page(
                    request, onward, _("Too many attempts; please try again in 15 minutes."), 429
                )
                limited.headers["Retry-After"] = "900"
                return limited
            case LoginOutcome.REFUSED:
                return self._login_page(request, onward, _("Account or password is wrong."), 401)

    async def log_out(self, request: Request, csrf: Annotated[str, Form(max_length=100)] = "") -> Response:
        """End the session."""
        visitor = await self._logins.visitor(request)
        answer = RedirectResponse("/login", SEE_OTHER)
        if visitor is None:
            return answer
        if not self._forms.is_meant(request, visitor, csrf):
            return self._pages.not_meant(visitor)
        await self._logins.log_out(request, answer)
        return answer

    async def list_open(self, request: Request, after: Annotated[str | None, Query(max_length=120)] = None) -> Response:
        """The alerts under way, worst first, then oldest."""
        visitor = await self._logins.visitor(request)
        if visitor is None:
            return to_login(request)
        found = await self._queries.open_alerts(caller_of(visitor.person).reach, read_place(after))
        following = write_place(found) if found.more else None
        return self._pages.show("alerts.html", visitor, found=found, following=following, first=after is None)

    async def show_list(self, request: Request) -> Response:
        """The households that the weekly list is about, as they are now."""
        visitor = await self._logins.visitor(request)
        if visitor is None:
            return to_login(request)
        grades = self._pages.listed_grades(visitor.person.division)
        found = await self._queries.listed(caller_of(visitor.person).reach, grades)
        return self._pages.show("list.html", visitor, found=found)

    def _login_page(self, request: Request, onward: str, warning: str, status: int = 200) -> Response:
        token = request.cookies.get(LOGIN_TOKEN_COOKIE) or secrets.token_urlsafe(32)
        page = self._pages.show("login.html", None, status, token=token, onward=onward, warning=warning)
        page.set_cookie(
            LOGIN_TOKEN_COOKIE,
            token,
            httponly=True,
            samesite="strict",
            path="/login",
            secure=self._forms.over_https,
        )
        return page


def local_path(text: str) -> str:
    """Return a path on this console to go on to; anything that could lead elsewhere becomes the front page."""
    usable = text.isascii() and text.isprintable() and len(text) <= 500 and " " not in text and "\\" not in text
    return text if usable and text.startswith("/") and not text.startswith("//") else "/"


def to_login(request: Request) -> Response:
    """Send somebody to the login, and back afterwards."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(wanted, safe='')}", SEE_OTHER)
