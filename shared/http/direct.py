"""Addresses that are asked all the time, answered ahead of FastAPI.

Finding the route, solving dependencies that there are none of, and a stack of middleware cost FastAPI more than reading
and checking an event does. The app behind has the same addresses all the same: its OpenAPI document tells of them, and
it answers other methods on them.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.health import HttpMetrics
from shared.http.problems import is_expected, problem_for

Answer = Callable[[Request], Awaitable[Response]]


class DirectPosts:
    """ASGI middleware: POST requests to these exact paths are answered and counted here, every other one by the app.

    headers: put on each answer given here, beside its own.
    """

    def __init__(
        self,
        app: ASGIApp,
        answers: Mapping[str, Answer],
        *,
        metrics: HttpMetrics,
        headers: Sequence[tuple[bytes, bytes]],
    ) -> None:
        self._app = app
        self._answers = answers
        self._metrics = metrics
        self._headers = tuple(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        answer = self._answers.get(scope["path"]) if is_post else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500
        request = Request(scope, receive, send)
        bug: Exception | None = None
        try:
            try:
                response = await answer(request)
            except Exception as error:
                response = await problem_for(request, error)
                bug = None if is_expected(error) else error
            status = response.status_code
            response.raw_headers.extend(self._headers)
            await response(scope, receive, send)
        finally:
            self._metrics.answered(status, time.perf_counter() - started)
        if bug is not None:
            # As FastAPI does: the server logs it, and the tests see it.
            raise bug
