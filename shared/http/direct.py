"""Addresses that are asked all the time, answered ahead of FastAPI.

Finding the route, solving dependencies that there are none of, and its own stack of middleware cost FastAPI more than
reading and checking an event does. The app behind has the same addresses all the same: its OpenAPI document tells of
them, and it answers other methods on them.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.problems import is_expected, problem_for

Answer = Callable[[Request], Awaitable[Response]]


class DirectPosts:
    """ASGI middleware: POST requests to these exact paths are answered here, every other one by the app."""

    def __init__(self, app: ASGIApp, answers: Mapping[str, Answer]) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        answer = self._answers.get(scope["path"]) if is_post else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await answer(request)
        except Exception as error:
            problem = await problem_for(request, error)
            await problem(scope, receive, send)
            if not is_expected(error):
                # As FastAPI does: the server logs it, and the tests see it.
                raise
            return
        await response(scope, receive, send)
