"""The notifier's HTTP face: API, console, health, metrics, and the headers that every answer carries."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.notifier import openapi
from services.notifier.routes import BODY_LIMIT_BYTES, REPLIES_LIMIT_BYTES, REPLIES_PATH
from shared.errors import RefusedRequest
from shared.http.health import Check, HttpMetrics, RequestMetrics, install_health
from shared.http.problems import install_problems, problem_response

CONTENT_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "script-src 'none'"
)
HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": CONTENT_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"cache-control": b"no-store",
}
STATIC_CACHE = b"public, max-age=3600"


class SecurityHeaders:
    """ASGI middleware: puts the headers on each answer that does not bring its own."""

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self._app = app
        self._headers = dict(HEADERS)
        if https:
            self._headers[b"strict-transport-security"] = b"max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_static = scope["path"].startswith("/static/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(message, is_static)
            await send(message)

        await self._app(scope, receive, with_headers)

    def _complete(self, message: MutableMapping[str, Any], is_static: bool) -> None:
        present = {name.lower() for name, _ in message["headers"]}
        wanted = self._headers
        if is_static and message["status"] == 200:
            wanted = wanted | {b"cache-control": STATIC_CACHE}
        missing = [(name, value) for name, value in wanted.items() if name not in present]
        message["headers"] = [*message["headers"], *missing]


class BodyLimit:
    """ASGI middleware: refuses bodies past a size, declared or not, with a problem document."""

    def __init__(self, app: ASGIApp, most: int, most_by_path: Mapping[str, int]) -> None:
        """most_by_path: other sizes, by how paths begin."""
        self._app = app
        self._most = most
        self._most_by_path = most_by_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        most = next((size for begins, size in self._most_by_path.items() if path.startswith(begins)), self._most)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:12]) > most:
            answer = problem_response(Request(scope), RefusedRequest("too-large"))
            await answer(scope, receive, send)
            return
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)


def create_app(
    registry: CollectorRegistry,
    checks: Mapping[str, Check],
    http_metrics: HttpMetrics,
    api: APIRouter,
    console: APIRouter,
    static: Path,
    *,
    https: bool,
) -> FastAPI:
    """Return the app."""
    app = FastAPI(title="Shouwang notifier", docs_url=None, redoc_url=None, version="1", redirect_slashes=False)
    install_problems(app)
    install_health(app, registry, checks)
    app.include_router(api)
    app.include_router(console)
    # The app keeps the document that it builds here and serves it at /openapi.json.
    openapi.complete(app.openapi())
    app.mount("/static", StaticFiles(directory=static), name="static")
    app.add_middleware(BodyLimit, most=BODY_LIMIT_BYTES, most_by_path={REPLIES_PATH: REPLIES_LIMIT_BYTES})
    app.add_middleware(RequestMetrics, metrics=http_metrics)
    app.add_middleware(SecurityHeaders, https=https)
    return app
