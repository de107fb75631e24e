"""Answers for errors: `application/problem+json` (RFC 9457), without the caller's values or our exceptions."""

import html
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shared.codec import pointer
from shared.errors import Fault, RefusedRequest, TemporaryFailure
from shared.http.catalogue import PROBLEMS, Problem
from shared.logs import get_logger

log = get_logger(__name__)
_SLUG_OF_STATUS = {
    400: "malformed-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
}


def problem_document(
    problem: Problem, base_url: str, detail: str = "", faults: Sequence[Fault] = (), trace: str | None = None
) -> dict[str, Any]:
    """Build the members of a problem document; `type` leads to the catalogue page."""
    document: dict[str, Any] = {
        "type": f"{base_url.rstrip('/')}/problems/{problem.slug}",
        "title": problem.title_en,
        "title_zh": problem.title_zh,
        "status": problem.status,
        "detail": detail or problem.mend,
    }
    if faults:
        document["errors"] = [{"pointer": f.pointer, "code": f.code, "detail": f.detail} for f in faults]
    if trace:
        document["trace_id"] = trace
    return document


def problem_response(request: Request, refused: RefusedRequest, trace: str | None = None) -> Response:
    """Answer one refused request."""
    problem = PROBLEMS[refused.problem]
    headers = dict(refused.headers)
    if refused.retry_after_seconds is not None:
        headers["Retry-After"] = str(refused.retry_after_seconds)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("WWW-Authenticate", "Bearer")
    document = problem_document(problem, str(request.base_url), refused.detail, refused.faults, trace)
    return JSONResponse(document, problem.status, headers, "application/problem+json")


def install_problems(app: FastAPI) -> None:
    """Make every error of the app a problem document, and serve the catalogue's pages."""
    for kind, answer in _ANSWERS.items():
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(Exception, _unexpected)
    app.add_api_route("/problems", _catalogue_page, include_in_schema=False)
    app.add_api_route("/problems/{slug}", _problem_page, include_in_schema=False)


async def problem_for(request: Request, error: Exception) -> Response:
    """Answer an error outside of the app as the app would."""
    answer = next((answer for kind, answer in _ANSWERS.items() if isinstance(error, kind)), _unexpected)
    return await answer(request, error)


def is_expected(error: Exception) -> bool:
    """Tell whether an error is somebody else's fault or passes, and not a bug of ours."""
    return isinstance(error, tuple(_ANSWERS))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedRequest)
    return problem_response(request, error)


async def _temporary(request: Request, error: Exception) -> Response:
    log.warning("an answer had to wait", reason=str(error))
    return problem_response(request, RefusedRequest("temporarily-unavailable", retry_after_seconds=5))


async def _invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [Fault(pointer(*found["loc"]), str(found["type"]), str(found["msg"])) for found in error.errors()]
    return problem_response(request, RefusedRequest("invalid-request", faults=faults))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    slug = _SLUG_OF_STATUS.get(error.status_code, "not-found" if error.status_code < 500 else "internal")
    headers: Mapping[str, str] = error.headers or {}
    return problem_response(request, RefusedRequest(slug, headers=headers))


async def _gone(request: Request, error: Exception) -> Response:
    # Nobody is left to read this; without it a caller who hangs up would count as a fault of ours.
    return problem_response(request, RefusedRequest("malformed-request", "the body ended early"))


async def _unexpected(request: Request, error: Exception) -> Response:
    trace = uuid4().hex
    log.error("a request failed on our side", trace_id=trace, path=request.scope.get("path"), exc_info=error)
    return problem_response(request, RefusedRequest("internal"), trace)


_ANSWERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    RefusedRequest: _refused,
    TemporaryFailure: _temporary,
    RequestValidationError: _invalid_parameters,
    HTTPException: _http_error,
    ClientDisconnect: _gone,
}


async def _catalogue_page() -> HTMLResponse:
    rows = "".join(
        f'<li><a href="/problems/{slug}">{slug}</a> ({problem.status}) {html.escape(problem.title_en)}</li>'
        for slug, problem in PROBLEMS.items()
    )
    return _page("Error catalogue", f"<ul>{rows}</ul>")


async def _problem_page(slug: str) -> HTMLResponse:
    problem = PROBLEMS.get(slug)
    if problem is None:
        raise RefusedRequest("not-found")
    body = (
        f"<p lang=zh>{html.escape(problem.title_zh)}</p><p>Status {problem.status}</p>"
        f"<h2>When</h2><p>{html.escape(problem.meaning)}</p><h2>What to do</h2><p>{html.escape(problem.mend)}</p>"
        '<p><a href="/problems">All problems</a></p>'
    )
    return _page(problem.title_en, body)


def _page(title: str, body: str) -> HTMLResponse:
    head = '<meta charset=utf-8><meta name=viewport content="width=device-width">'
    safe = html.escape(title)
    return HTMLResponse(
        f"<!doctype html><html lang=en><head>{head}<title>{safe}</title></head>"
        f"<body><h1>{safe}</h1>{body}</body></html>",
        headers={"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff"},
    )
