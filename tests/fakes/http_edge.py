"""Ingest behind its real server, and requests to it in bytes."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from shared.http.catalogue import PROBLEMS
from shared.http.protocol_limits import HttpLimits
from tests.fakes.http_server import Answer, Caller, RunningServer, running_server
from tests.fakes.ingest_edge import JSON_BATCH, STRUCTURED, IngestUnderTest, key, make_event

SHORT = HttpLimits(head_seconds=0.3, body_seconds=0.4, idle_seconds=0.5, write_seconds=0.4, opaque_below=b"/v1/events/")
"""Deadlines of tenths of a second, where a service has seconds."""

# Stands in every bad request; must never come back.
CANARY = b"CANARY7731"
AUTHORISED = f"Authorization: Bearer {key()}\r\n".encode()
EVENT = json.dumps(make_event()).encode()


def post(path: bytes = b"/v1/events", *, body: bytes | None = None, headers: bytes = b"") -> bytes:
    """A whole request that ingest serves, or without a body all of its head but the end."""
    content_type = STRUCTURED if path == b"/v1/events" else JSON_BATCH
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n" % (path, content_type.encode()) + AUTHORISED + headers
    return head if body is None else head + b"Content-Length: %d\r\n\r\n" % len(body) + body


HEAD = post()
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
POST = post(body=EVENT)
GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
# One more byte than ever comes.
UNFINISHED = HEAD + b"Content-Length: %d\r\n\r\n" % (len(EVENT) + 1) + EVENT


class Edge:
    """Ingest over fakes behind the real server."""

    def __init__(self, ingest: IngestUnderTest, server: RunningServer) -> None:
        self.app = ingest.app
        self.log = ingest.log
        self.server = server

    @contextmanager
    def taking(self, count: int) -> Iterator[None]:
        """Check that so many events reach the log meanwhile."""
        before = len(self.log.records)
        yield
        assert len(self.log.records) - before == count

    @contextmanager
    def counting(self, by: int, name: str, **labels: str) -> Iterator[None]:
        """Check that a counter of the server grows by so much meanwhile."""
        before = self.server.count(name, **labels)
        yield
        assert self.server.count(name, **labels) - before == by


@asynccontextmanager
async def served(ingest: IngestUnderTest, limits: HttpLimits = SHORT) -> AsyncIterator[Edge]:
    """Serve ingest on a free port."""
    async with running_server(ingest.app, limits) as server:
        yield Edge(ingest, server)


def check_problem(answer: Answer, slug: str) -> None:
    """Check an answer that refuses."""
    assert (answer.status, answer.json()["type"].rsplit("/", 1)[-1]) == (PROBLEMS[slug].status, slug), answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert CANARY not in answer.body


async def check_last_word(caller: Caller, slug: str) -> None:
    """Check that a problem is the next, and the last, that a caller hears."""
    answer = await caller.answer()
    check_problem(answer, slug)
    assert answer.headers["connection"] == "close"
    assert await caller.closed() == b""
