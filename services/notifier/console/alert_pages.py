"""The page of one alert, and the forms on it: take on, visit, resolve, reopen, comment."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ValidationError

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import Caller, caller_of
from services.notifier.console.auth import Logins, Visitor
from services.notifier.console.own_forms import OwnForms
from services.notifier.console.pages import SEE_OTHER, Pages
from services.notifier.console.queries import ConsoleQueries
from services.notifier.core.acting import VISIT_NEEDED_FROM
from services.notifier.core.digests import is_digest_id
from services.notifier.core.message import is_alert_id
from services.notifier.core.silencing import Silence
from services.notifier.store.reading import AlertReader
from services.notifier.store.silences import Silences
from shared.alerts import (
    UNDER_WAY,
    Acknowledgement,
    AlertDetail,
    AlertStatus,
    Closing,
    Comment,
    Reopening,
    Visit,
)
from shared.clock import Clock
from shared.errors import RefusedRequest
from shared.grades import RiskGrade
from shared.http.catalogue import PROBLEMS

Body = TypeVar("Body", bound=BaseModel)
Csrf = Annotated[str, Form(max_length=100)]
NoteText = Annotated[str, Form(max_length=4_000)]
Choice = Annotated[str, Form(max_length=40)]


class AlertPages:
    """Answers what concerns one alert."""

    def __init__(
        self,
        pages: Pages,
        logins: Logins,
        queries: ConsoleQueries,
        reader: AlertReader,
        act: ActOnAlert,
        forms: OwnForms,
        silences: Silences,
        clock: Clock,
    ) -> None:
        self._pages = pages
        self._logins = logins
        self._queries = queries
        self._reader = reader
        self._act = act
        self._forms = forms
        self._silences = silences
        self._clock = clock

    def routes(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(include_in_schema=False, prefix="/alerts/{alert_id}")
        router.add_api_route("", self.show, methods=["GET"])
        router.add_api_route("/acknowledge", self.acknowledge, methods=["POST"])
        router.add_api_route("/visit", self.visit, methods=["POST"])
        router.add_api_route("/resolve", self.resolve, methods=["POST"])
        router.add_api_route("/reopen", self.reopen, methods=["POST"])
        router.add_api_route("/comment", self.comment, methods=["POST"])
        return router

    async def show(self, request: Request, alert_id: str) -> Response:
        """One alert in full."""
        if is_digest_id(alert_id):
            # The template of a text message ends in one name, of an alert or of a digest.
            return RedirectResponse(f"/digests/{alert_id}", SEE_OTHER)
        visitor = await self._logins.visitor(request)
        return _to_login(alert_id) if visitor is None else await self._page(visitor, alert_id)

    async def acknowledge(
        self, request: Request, alert_id: str, csrf: Csrf = "", note: NoteText = "", take_over: Choice = ""
    ) -> Response:
        """Take an alert on."""
        said = {"note": _plain_note(note), "take_over": take_over == "yes"}
        return await self._do(request, alert_id, csrf, Acknowledgement, said, self._act.acknowledge)

    async def visit(
        self,
        request: Request,
        alert_id: str,
        csrf: Csrf = "",
        result: Choice = "",
        measures: Annotated[list[str] | None, Form()] = None,
        note: NoteText = "",
    ) -> Response:
        """Note a visit."""
        said = {"result": result, "measures": measures or [], "note": _plain_note(note)}
        return await self._do(request, alert_id, csrf, Visit, said, self._act.visit)

    async def resolve(
        self, request: Request, alert_id: str, csrf: Csrf = "", resolution: Choice = "", note: NoteText = ""
    ) -> Response:
        """Close an alert."""
        said = {"resolution": resolution, "note": _plain_note(note)}
        return await self._do(request, alert_id, csrf, Closing, said, self._act.resolve)

    async def reopen(self, request: Request, alert_id: str, csrf: Csrf = "", note: NoteText = "") -> Response:
        """Take up again an alert that was resolved too early."""
        return await self._do(request, alert_id, csrf, Reopening, {"note": _plain_note(note)}, self._act.reopen)

    async def comment(self, request: Request, alert_id: str, csrf: Csrf = "", note: NoteText = "") -> Response:
        """Add a remark."""
        return await self._do(request, alert_id, csrf, Comment, {"note": _plain_note(note)}, self._act.comment)

    async def _do(
        self,
        request: Request,
        alert_id: str,
        csrf: str,
        shape: type[Body],
        said: dict[str, Any],
        act: Callable[[str, Caller, Body], Awaitable[None]],
    ) -> Response:
        """Do what a form asks for, or show the alert again with what was wrong."""
        visitor = await self._logins.visitor(request)
        if visitor is None:
            return _to_login(alert_id)
        if not self._forms.is_meant(request, visitor, csrf):
            return self._pages.not_meant(visitor)
        try:
            await act(alert_id, caller_of(visitor.person), shape.model_validate(said))
        except ValidationError:
            return await self._page(visitor, alert_id, 422, self._pages.words.form_incomplete)
        except RefusedRequest as refused:
            if PROBLEMS[refused.problem].status == 409:
                return await self._page(visitor, alert_id, 409, self._pages.words.refusal(refused.faults[0].code))
            return self._nothing_here(visitor)
        return RedirectResponse(f"/alerts/{alert_id}", SEE_OTHER)

    async def _page(self, visitor: Visitor, alert_id: str, status: int = 200, warning: str = "") -> Response:
        caller = caller_of(visitor.person)
        alert = await self._reader.one(caller.reach, alert_id) if is_alert_id(alert_id) else None
        if alert is None:
            return self._nothing_here(visitor)
        people = {step.actor for step in alert.timeline} | {line.recipient for line in alert.deliveries}
        silences = await self._silences_of(alert)
        people |= {one.owner for one in silences}
        villages = await self._queries.village_names({alert.division})
        return self._pages.show(
            "alert.html",
            visitor,
            status,
            alert=alert,
            under_way=alert.status in UNDER_WAY,
            can_be_resolved=_can_be_resolved(alert),
            measure_words={one.code: one.text_zh for one in alert.measures},
            village=villages[alert.division],
            silences=silences,
            waiting=await self._queries.waiting(alert_id),
            people=await self._queries.people_names(people | ({alert.owner} if alert.owner else set())),
            warning=warning,
        )

    async def _silences_of(self, alert: AlertDetail) -> list[Silence]:
        """The silences that keep people from hearing of it now."""
        if alert.status not in UNDER_WAY:
            return []
        grade = RiskGrade.from_code(alert.grade)
        return await self._silences.covering(alert.household_id, alert.division, grade, self._clock.now())

    def _nothing_here(self, visitor: Visitor) -> Response:
        _ = self._pages.words.gettext
        text = _("There is no such alert, or it is not within your division.")
        return self._pages.fault(visitor, 404, _("Not found"), text)


def _can_be_resolved(alert: AlertDetail) -> bool:
    """Tell whether to offer the form; the act itself has the last word."""
    visited = alert.status is AlertStatus.VISITED
    return visited or (
        alert.status is AlertStatus.ACKNOWLEDGED and RiskGrade.from_code(alert.grade) < VISIT_NEEDED_FROM
    )


def _to_login(alert_id: str) -> Response:
    return RedirectResponse(f"/login?next={quote(f'/alerts/{alert_id}', safe='')}", SEE_OTHER)


def _plain_note(note: str) -> str | None:
    # Browsers send each line's end as two characters.
    lines = note.replace("\r\n", "\n")
    cleaned = "".join(letter for letter in lines if letter.isprintable() or letter == "\n").strip()
    return cleaned or None
