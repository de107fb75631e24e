"""Keeps the log connected until the last HTTP request is answered: else a stop would refuse events under way."""

import asyncio
import time

import uvicorn

from shared.lifecycle import Work

# Longer than a publish may take, shorter than the time that a stopping service has for all its tasks.
MAX_DRAIN_SECONDS = 5.0
POLL_SECONDS = 0.05


def until_drained(work: Work, server: uvicorn.Server) -> Work:
    """Wrap a task so that a stop first closes the HTTP server and only then reaches the task."""

    async def run(stop: asyncio.Event) -> None:
        last = asyncio.Event()
        working = asyncio.create_task(work(last), name="publisher")
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await _answer_the_rest(server)
        finally:
            stopping.cancel()
            last.set()
            await working

    return run


async def _answer_the_rest(server: uvicorn.Server) -> None:
    server.should_exit = True
    deadline = time.monotonic() + MAX_DRAIN_SECONDS
    # uvicorn looks at should_exit ten times a second; until then it still takes connections.
    await asyncio.sleep(0.2)
    while (server.server_state.tasks or server.server_state.connections) and time.monotonic() < deadline:  # noqa: ASYNC110  uvicorn tells nobody
        await asyncio.sleep(POLL_SECONDS)
