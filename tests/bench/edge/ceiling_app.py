"""The ceilings of ingest, as programs: `python -m tests.bench.edge.ceiling_app fastapi|asgi`.

Each takes the raw body of a POST, makes the producer's call that ingest's settings lead to, and answers 202 with
partition and offset: no key, no reading, no checking, no counting. `fastapi` is a route of FastAPI, `asgi` an app of a
few lines. Address and log come from the environment of ingest.
"""

import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from shared.bus.kafka.publisher import PRODUCER_SETTINGS
from shared.topics import HOUSEHOLD_EVENTS

KEYS = [b"B%08d" % number for number in range(10_000)]


class Log:
    """The producer, and the keys of households by turns."""

    def __init__(self) -> None:
        self._topic = os.environ["KAFKA_TOPIC_PREFIX"] + HOUSEHOLD_EVENTS.name
        self._keys = itertools.cycle(KEYS)
        self._producer: AIOKafkaProducer | None = None

    @asynccontextmanager
    async def open(self, _app: object = None) -> AsyncIterator[None]:
        """Be connected for a block."""
        self._producer = AIOKafkaProducer(bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], **PRODUCER_SETTINGS)
        await self._producer.start()
        yield
        await self._producer.stop()

    async def put(self, body: bytes) -> Any:
        """Put a record on the log; where it stands."""
        assert self._producer is not None
        return await self._producer.send_and_wait(self._topic, value=body, key=next(self._keys))


def fastapi_app(log: Log) -> Any:
    """A route that takes the raw body."""
    app = FastAPI(lifespan=log.open)

    @app.post("/v1/events")
    async def post_event(request: Request) -> JSONResponse:
        written = await log.put(await request.body())
        return JSONResponse({"partition": written.partition, "offset": written.offset}, 202)

    @app.get("/readyz")
    async def readyz() -> None: ...

    return app


def asgi_app(log: Log) -> Any:
    """The same without a framework."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _live(log, receive, send)
            return
        if scope["path"] == "/readyz":
            await _answer(send, 200, b"")
            return
        pieces, more = [], True
        while more:
            message = await receive()
            pieces.append(message["body"])
            more = message["more_body"]
        written = await log.put(b"".join(pieces))
        await _answer(send, 202, b'{"partition":%d,"offset":%d}' % (written.partition, written.offset))

    return app


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(log: Log, receive: Any, send: Any) -> None:
    await receive()
    async with log.open():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    apps = {"fastapi": fastapi_app, "asgi": asgi_app}
    uvicorn.run(
        apps[sys.argv[1]](Log()),
        host=os.environ["SHOUWANG_INGEST_HOST"],
        port=int(os.environ["SHOUWANG_INGEST_PORT"]),
        access_log=False,
        log_level="warning",
        server_header=False,
        loop="uvloop",
        http="httptools",
        ws="none",
    )
