"""The API: alerts to read and to act on, for programs with a key and for people with a session."""

import base64
import binascii
import json
import re
from collections.abc import Collection
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ValidationError

from services.notifier import openapi
from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import ApiCallers, Caller
from services.notifier.core.message import is_alert_id
from services.notifier.core.routing import prefix_of
from services.notifier.keep_silent import KeepSilent
from services.notifier.store.reading import After, AlertReader, Filters
from services.notifier.store.why import WhyReader
from services.notifier.take_replies import TakeReplies
from services.notifier.why import AlertWhy
from shared.alerts import (
    Acknowledgement,
    Alert,
    AlertDetail,
    AlertPage,
    AlertStatus,
    Closing,
    Comment,
    Reopening,
    Visit,
)
from shared.codec import MalformedJson, decode_json
from shared.errors import Fault, RefusedRequest
from shared.events.envelope import HOUSEHOLD_ID_PATTERN, faults_of
from shared.grades import GradeCode, RiskGrade
from shared.silences import SilenceList, SilenceShown, SilenceWanted

BODY_LIMIT_BYTES = 16 * 1024
REPLIES_PATH = "/v1/sms-replies/"
# One post holds many replies, and one that is refused for its size is never passed on again.
REPLIES_LIMIT_BYTES = 1024 * 1024
_SILENCE_ID = re.compile(r"[1-9][0-9]{0,17}")
Body = TypeVar("Body", bound=BaseModel)
LIST_PARAMETERS = frozenset({"household_id", "division", "grade", "status", "cursor", "limit"})


def api_routes(
    callers: ApiCallers, reader: AlertReader, act: ActOnAlert, whys: WhyReader, silent: KeepSilent
) -> APIRouter:
    """Return the API's routes."""
    router = APIRouter(prefix="/v1", tags=["alerts"])
    _add_silence_routes(router, callers, silent)

    @router.get("/alerts", **openapi.LIST_ALERTS)
    async def list_alerts(
        request: Request,
        household_id: Annotated[str | None, Query(pattern=HOUSEHOLD_ID_PATTERN)] = None,
        division: Annotated[str | None, Query(pattern="^[0-9]{2,12}$", description="code, or its beginning")] = None,
        grade: GradeCode | None = None,
        status: AlertStatus | None = None,
        cursor: Annotated[str | None, Query(max_length=200, description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> AlertPage:
        caller = await callers.reader(request)
        _refuse_unknown_parameters(request)
        filters = Filters(
            household_id=household_id,
            division=None if division is None else prefix_of(division) if len(division) == 12 else division,
            grade=None if grade is None else RiskGrade.from_code(grade),
            status=status,
        )
        found = await reader.page(caller.reach, filters, None if cursor is None else read_cursor(cursor), limit + 1)
        more = len(found) > limit
        return AlertPage(items=tuple(found[:limit]), next=write_cursor(found[limit - 1]) if more else None)

    @router.get("/alerts/{alert_id}", **openapi.SHOW_ALERT)
    async def show_alert(request: Request, alert_id: str) -> AlertDetail:
        return await _find(reader, await callers.reader(request), alert_id)

    @router.post("/alerts/{alert_id}/acknowledge", **openapi.ACKNOWLEDGE_ALERT)
    async def acknowledge_alert(request: Request, alert_id: str) -> AlertDetail:
        caller = await callers.actor(request)
        await act.acknowledge(alert_id, caller, await _read_body(request, Acknowledgement, may_be_absent=True))
        return await _find(reader, caller, alert_id)

    @router.post("/alerts/{alert_id}/visit", **openapi.VISIT_HOUSEHOLD)
    async def visit_household(request: Request, alert_id: str) -> AlertDetail:
        caller = await callers.actor(request)
        await act.visit(alert_id, caller, await _read_body(request, Visit))
        return await _find(reader, caller, alert_id)

    @router.post("/alerts/{alert_id}/resolve", **openapi.RESOLVE_ALERT)
    async def resolve_alert(request: Request, alert_id: str) -> AlertDetail:
        caller = await callers.actor(request)
        await act.resolve(alert_id, caller, await _read_body(request, Closing))
        return await _find(reader, caller, alert_id)

    @router.post("/alerts/{alert_id}/reopen", **openapi.REOPEN_ALERT)
    async def reopen_alert(request: Request, alert_id: str) -> AlertDetail:
        caller = await callers.actor(request)
        await act.reopen(alert_id, caller, await _read_body(request, Reopening))
        return await _find(reader, caller, alert_id)

    @router.post("/alerts/{alert_id}/comment", **openapi.COMMENT_ON_ALERT)
    async def comment_on_alert(request: Request, alert_id: str) -> AlertDetail:
        caller = await callers.actor(request)
        await act.comment(alert_id, caller, await _read_body(request, Comment))
        return await _find(reader, caller, alert_id)

    @router.get("/alerts/{alert_id}/why", **openapi.WHY_ALERT)
    async def why_alert(request: Request, alert_id: str) -> AlertWhy:
        caller = await callers.reader(request)
        found = await whys.why(caller.reach, alert_id) if is_alert_id(alert_id) else None
        if found is None:
            raise RefusedRequest("not-found")
        return found

    return router


def _add_silence_routes(router: APIRouter, callers: ApiCallers, silent: KeepSilent) -> None:
    @router.get("/silences", **openapi.LIST_SILENCES)
    async def list_silences(request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> SilenceList:
        caller = await callers.reader(request)
        _refuse_unknown_parameters(request, {"limit"})
        return SilenceList(items=tuple(await silent.newest(caller, limit)))

    @router.post("/silences", status_code=201, **openapi.ADD_SILENCE)
    async def add_silence(request: Request) -> SilenceShown:
        caller = await callers.actor(request)
        return await silent.add(caller, await _read_body(request, SilenceWanted))

    @router.post("/silences/{silence_id}/end", **openapi.END_SILENCE)
    async def end_silence(request: Request, silence_id: str) -> SilenceShown:
        caller = await callers.actor(request)
        if not _SILENCE_ID.fullmatch(silence_id):
            raise RefusedRequest("not-found")
        return await silent.end(caller, int(silence_id))


class ReplyReceipt(BaseModel):
    """What Aliyun wants to hear; it looks at the HTTP status alone."""

    code: int = 0
    msg: str = "taken"


def add_reply_route(router: APIRouter, replies: TakeReplies) -> None:
    """Add to the API's routes the one that the vendor of text messages posts replies to; its secret is the proof."""

    @router.post("/sms-replies/{secret}", **openapi.TAKE_REPLIES)
    async def take_replies(request: Request, secret: str) -> ReplyReceipt:
        if not replies.admits(secret):
            raise RefusedRequest("not-found")
        await replies.take(await request.body())
        return ReplyReceipt()


def _refuse_unknown_parameters(request: Request, known_ones: Collection[str] = LIST_PARAMETERS) -> None:
    """A misspelt filter must not answer with everything."""
    unknown = [name for name in request.query_params if name not in known_ones]
    if unknown:
        known = ", ".join(sorted(known_ones))
        fault = Fault("/query", "unknown_parameter", f"the parameters here are {known}")
        raise RefusedRequest("invalid-request", fault.detail, faults=[fault])


def write_cursor(last: Alert) -> str:
    """Name the place after an alert; opaque to clients."""
    place = json.dumps([last.opened_at.isoformat(), last.id])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> After:
    """Read a cursor of ours. Raises RefusedRequest."""
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        opened_at, alert_id = place
        instant = datetime.fromisoformat(opened_at)
        if (
            instant.tzinfo is None
            or not 2000 <= instant.year <= 2200
            or not isinstance(alert_id, str)
            or "\0" in alert_id
        ):
            raise ValueError("not a place in the list")
    except (ValueError, TypeError, binascii.Error, RecursionError):
        fault = Fault("/cursor", "not_a_cursor", "send back `next` of the page before, unchanged")
        raise RefusedRequest("invalid-request", faults=[fault]) from None
    return After(instant, alert_id)


async def _find(reader: AlertReader, caller: Caller, alert_id: str) -> AlertDetail:
    found = await reader.one(caller.reach, alert_id) if is_alert_id(alert_id) else None
    if found is None:
        raise RefusedRequest("not-found")
    return found


async def _read_body(request: Request, shape: type[Body], *, may_be_absent: bool = False) -> Body:
    """Read a body strictly. Raises RefusedRequest."""
    body = await request.body()
    if not body and may_be_absent:
        return shape()
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        wanted = "send application/json, or no body" if may_be_absent else "send application/json"
        raise RefusedRequest("unsupported-media-type", wanted)
    try:
        return shape.model_validate(decode_json(body))
    except MalformedJson as error:
        raise RefusedRequest("malformed-json", faults=[error.fault]) from None
    except ValidationError as error:
        raise RefusedRequest("invalid-request", faults=faults_of(error)) from None
