"""The HTTP app of ingest: routes, problems, health, and headers that every answer carries."""

from collections.abc import Mapping

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.ingest import openapi
from services.ingest.routes import Edge, add_routes
from shared import __version__
from shared.http.direct import DirectPosts
from shared.http.health import Check, RequestMetrics, install_health
from shared.http.problems import install_problems

_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
_NAMES = frozenset(name for name, _ in _HEADERS)


def create_app(edge: Edge, registry: CollectorRegistry, checks: Mapping[str, Check]) -> ASGIApp:
    """Build the app; `checks` are the round trips of /readyz."""
    # Pages for people (/docs, /redoc) would load scripts from elsewhere.
    app = FastAPI(
        title="Shouwang ingest",
        version=__version__,
        description="Takes household events (CloudEvents 1.0) and puts them on the log.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    install_problems(app)
    install_health(app, registry, checks)
    posts = add_routes(app, edge)
    # The app keeps the document that it builds here and serves it at /openapi.json.
    openapi.complete(app.openapi())
    http = edge.metrics.http
    return DirectPosts(FixedHeaders(RequestMetrics(app, http)), posts, metrics=http, headers=_HEADERS)


class FixedHeaders:
    """ASGI middleware: answers are not guessed at and not kept by caches. It stands outside all else, so errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [header for header in message.get("headers", ()) if header[0].lower() not in _NAMES]
                message = {**message, "headers": [*kept, *_HEADERS]}
            await send(message)

        await self._app(scope, receive, with_headers)
