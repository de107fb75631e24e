"""The console's pages: log in, see what is open, look at one alert, take it on."""

import secrets
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import caller_of
from services.notifier.console.auth import LoginOutcome, Logins, Visitor, same
from services.notifier.console.pages import Pages
from services.notifier.console.queries import ConsoleQueries, OpenAlerts, Place
from services.notifier.core.message import is_alert_id
from services.notifier.metrics import NotifierMetrics
from services.notifier.store.reading import AlertReader
from shared.alerts import Acknowledgement
from shared.errors import RefusedRequest
from shared.http.catalogue import PROBLEMS

LOGIN_TOKEN_COOKIE = "shouwang_login"  # noqa: S105 - the cookie's name
SEE_OTHER = 303
CONFLICT_WORDS = "这条预警的状态刚刚有变化，请看过下面的最新情况再操作。"


class Console:
    """Answers the console's requests."""

    def __init__(
        self,
        pages: Pages,
        logins: Logins,
        queries: ConsoleQueries,
        reader: AlertReader,
        act: ActOnAlert,
        metrics: NotifierMetrics,
        public_url: str,
    ) -> None:
        self._pages = pages
        self._logins = logins
        self._queries = queries
        self._reader = reader
        self._act = act
        self._metrics = metrics
        self._origin = _origin(public_url)

    def routes(self) -> APIRouter:
        """Return the console's routes."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self.list_open, methods=["GET"])
        router.add_api_route("/static/grades.css", self.show_grade_colours, methods=["GET"])
        router.add_api_route("/login", self.show_login, methods=["GET"])
        router.add_api_route("/login", self.log_in, methods=["POST"])
        router.add_api_route("/logout", self.log_out, methods=["POST"])
        router.add_api_route("/alerts/{alert_id}", self.show_alert, methods=["GET"])
        router.add_api_route("/alerts/{alert_id}/acknowledge", self.acknowledge, methods=["POST"])
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
        onward = local_path(next)
        cookie = request.cookies.get(LOGIN_TOKEN_COOKIE, "")
        # Also a login can be forged: the victim would then work, and write, in somebody else's account.
        if not cookie or not same(token, cookie) or not self._is_own(request):
            return self._login_page(request, onward, "登录页面已过期，请再试一次。", 403)
        answer = RedirectResponse(onward, SEE_OTHER)
        address = request.client.host if request.client else "unknown"
        outcome = await self._logins.log_in(answer, staff_id.strip(), password, address)
        self._metrics.logins.labels(outcome).inc()
        match outcome:
            case LoginOutcome.ACCEPTED:
                answer.delete_cookie(LOGIN_TOKEN_COOKIE, path="/login")
                return answer
            case LoginOutcome.LIMITED:
                limited = self._login_page(request, onward, "尝试次数过多，请15分钟后再试。", 429)
                limited.headers["Retry-After"] = "900"
                return limited
            case LoginOutcome.REFUSED:
                return self._login_page(request, onward, "账号或密码不正确。", 401)

    async def log_out(self, request: Request, csrf: Annotated[str, Form(max_length=100)] = "") -> Response:
        """End the session."""
        visitor = await self._logins.visitor(request)
        answer = RedirectResponse("/login", SEE_OTHER)
        if visitor is None:
            return answer
        if not self._is_meant(request, visitor, csrf):
            return self._not_meant(visitor)
        await self._logins.log_out(request, answer)
        return answer

    async def list_open(self, request: Request, after: Annotated[str | None, Query(max_length=120)] = None) -> Response:
        """The alerts under way, worst first, then oldest."""
        visitor = await self._logins.visitor(request)
        if visitor is None:
            return _to_login(request)
        found = await self._queries.open_alerts(caller_of(visitor.person).reach, _read_place(after))
        following = _write_place(found) if found.more else None
        return self._pages.show("alerts.html", visitor, found=found, following=following, first=after is None)

    async def show_alert(self, request: Request, alert_id: str) -> Response:
        """One alert in full."""
        visitor = await self._logins.visitor(request)
        if visitor is None:
            return _to_login(request)
        return await self._alert_page(visitor, alert_id)

    async def acknowledge(
        self,
        request: Request,
        alert_id: str,
        csrf: Annotated[str, Form(max_length=100)] = "",
        note: Annotated[str, Form(max_length=1_000)] = "",
        take_over: Annotated[str, Form(max_length=3)] = "",
    ) -> Response:
        """Take an alert on."""
        visitor = await self._logins.visitor(request)
        if visitor is None:
            return RedirectResponse(f"/login?next={quote(f'/alerts/{alert_id}', safe='')}", SEE_OTHER)
        if not self._is_meant(request, visitor, csrf):
            return self._not_meant(visitor)
        body = Acknowledgement(note=_plain_note(note), take_over=take_over == "yes")
        try:
            await self._act.acknowledge(alert_id, caller_of(visitor.person), body)
        except RefusedRequest as refused:
            if PROBLEMS[refused.problem].status == 409:
                return await self._alert_page(visitor, alert_id, 409, CONFLICT_WORDS)
            return self._nothing_here(visitor)
        return RedirectResponse(f"/alerts/{alert_id}", SEE_OTHER)

    async def _alert_page(self, visitor: Visitor, alert_id: str, status: int = 200, warning: str = "") -> Response:
        caller = caller_of(visitor.person)
        alert = await self._reader.one(caller.reach, alert_id) if is_alert_id(alert_id) else None
        if alert is None:
            return self._nothing_here(visitor)
        people = {step.actor for step in alert.timeline} | {line.recipient for line in alert.deliveries}
        villages = await self._queries.village_names({alert.division})
        return self._pages.show(
            "alert.html",
            visitor,
            status,
            alert=alert,
            village=villages[alert.division],
            people=await self._queries.people_names(people | ({alert.owner} if alert.owner else set())),
            warning=warning,
        )

    def _login_page(self, request: Request, onward: str, warning: str, status: int = 200) -> Response:
        token = request.cookies.get(LOGIN_TOKEN_COOKIE) or secrets.token_urlsafe(32)
        page = self._pages.show("login.html", None, status, token=token, onward=onward, warning=warning)
        page.set_cookie(
            LOGIN_TOKEN_COOKIE,
            token,
            httponly=True,
            samesite="strict",
            path="/login",
            secure=self._origin.startswith("https"),
        )
        return page

    def _nothing_here(self, visitor: Visitor) -> Response:
        return self._pages.fault(visitor, 404, "没有找到", "没有这条预警，或者它不在您的辖区内。")

    def _is_meant(self, request: Request, visitor: Visitor, csrf: str) -> bool:
        return same(csrf, visitor.csrf) and self._is_own(request)

    def _is_own(self, request: Request) -> bool:
        """Tell whether a form was sent from our own pages, as far as the browser says; the token has the last word."""
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        # Our Referrer-Policy makes browsers send the origin of our own forms as "null".
        own = ("null", self._origin, _origin(str(request.base_url)))
        return request.headers.get("origin", "null") in own

    def _not_meant(self, visitor: Visitor) -> Response:
        return self._pages.fault(visitor, 403, "页面已过期", "请返回，刷新页面后再操作一次。")


def local_path(text: str) -> str:
    """Return a path on this console to go on to; anything that could lead elsewhere becomes the front page."""
    usable = text.isascii() and text.isprintable() and len(text) <= 500 and " " not in text and "\\" not in text
    return text if usable and text.startswith("/") and not text.startswith("//") else "/"


def _to_login(request: Request) -> Response:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(wanted, safe='')}", SEE_OTHER)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _plain_note(note: str) -> str | None:
    cleaned = "".join(letter for letter in note if letter.isprintable() or letter == "\n").strip()
    return cleaned or None


def _write_place(found: OpenAlerts) -> str:
    last = found.rows[-1]
    return f"{int(last.grade)}~{last.opened_at.astimezone(UTC).isoformat()[:-6]}~{last.alert_id}"


def _read_place(text: str | None) -> Place | None:
    """Read the place that a link of ours carries; anything else begins at the front."""
    parts = (text or "").split("~")
    if len(parts) != 3 or parts[0] not in "01234" or not is_alert_id(parts[2]):
        return None
    try:
        opened_at = datetime.fromisoformat(parts[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Place(int(parts[0]), opened_at, parts[2]) if parts[0] else None
