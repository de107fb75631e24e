"""`/livez`, `/readyz` and `/metrics`, the same on each service."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import TemporaryFailure
from shared.metrics import ServiceMetrics

Check = Callable[[], Awaitable[None]]
CHECK_TIMEOUT_SECONDS = 2.0


def install_health(app: FastAPI, registry: CollectorRegistry, checks: Mapping[str, Check]) -> None:
    """Serve the three addresses.

    checks: name -> real round trip that raises TemporaryFailure (or times out) while that part is away. `/livez` asks
    nothing of others: it only shows that the event loop turns.
    """

    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    async def readyz() -> JSONResponse:
        verdicts = dict(zip(checks, await asyncio.gather(*(_ask(check) for check in checks.values())), strict=True))
        ready = all(verdict == "ok" for verdict in verdicts.values())
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": verdicts}, 200 if ready else 503)

    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    for path, answer in (("/livez", livez), ("/readyz", readyz), ("/metrics", metrics)):
        app.add_api_route(path, answer, include_in_schema=False)


async def _ask(check: Check) -> str:
    try:
        await asyncio.wait_for(check(), CHECK_TIMEOUT_SECONDS)
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_SECONDS:g} s"
    except TemporaryFailure as error:
        return str(error)
    return "ok"


class RequestMetrics:
    """ASGI middleware: counts requests by route template and status class, and times them."""

    def __init__(self, app: ASGIApp, metrics: "HttpMetrics") -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            self._metrics.answered(status, time.perf_counter() - started)


class HttpMetrics:
    """The HTTP metrics of one service."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        classes = ("2xx", "3xx", "4xx", "5xx")
        requests = metrics.counter("http_requests_total", "Answered HTTP requests by status class", status=classes)
        # Looked up once: a look-up takes a lock and costs as much as the count itself.
        self._by_class = {int(name[0]): requests.labels(name) for name in classes}
        self._seconds = metrics.seconds("http_request_seconds", "Time to answer an HTTP request")

    def answered(self, status: int, seconds: float) -> None:
        """Count one answer."""
        self._by_class[status // 100].inc()
        self._seconds.observe(seconds)
