"""HTTP/1.1 with deadlines, bounds and no leniency: what stands between a socket and an app.

The parser is httptools, the bridge to the app uvicorn's. This class adds what they lack: no caller can keep a
connection by sending slowly, or nothing, or by not reading; what is not clean HTTP is answered with a problem document
after the answers that are still due, the connection is closed, and nothing of such a request is taken as whole.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from shared.http.protocol_answers import last_answer
from shared.http.protocol_checks import (
    CUT_SHORT,
    FRAMING,
    HEAD_TOO_LARGE,
    METHOD,
    SYNTAX,
    TARGET,
    TARGET_TOO_LONG,
    TOO_MANY,
    TOO_SLOW,
    Refusal,
    Refused,
    fault_of_head,
)
from shared.http.protocol_connections import ConnectionMetrics, Connections, Phase
from shared.http.protocol_limits import MAX_HEAD_BYTES, MAX_TARGET_BYTES, HttpLimits
from shared.metrics import ServiceMetrics

# Sizes and extensions of chunks, and trailers, may take this much more than what they carry.
CHUNK_SLACK_BYTES = 64 * 1024
CHUNK_OVERHEAD = 8
_METHOD_TOKEN = re.compile(rb"\s*[A-Za-z][A-Za-z-]{0,31} /")
_OF_UPGRADES = frozenset({b"upgrade", b"http2-settings", b"connection"})


def http_protocol(limits: HttpLimits, metrics: ServiceMetrics) -> Callable[..., asyncio.Protocol]:
    """Return what uvicorn makes each connection of one server with."""
    connections = Connections(limits.within_open_files(), ConnectionMetrics(metrics))

    def make(config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> HttpProtocol:
        return HttpProtocol(connections, config, server_state, app_state, _loop)

    return make


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._connections = connections
        self.phase: Phase = "new"
        self.since = self.loop.time()
        self._running: RequestResponseCycle | None = None
        self._in_head = False
        self._is_upgrade = False
        self._has_ended = False
        self._refusal: Refusal | None = None
        self._unread_bytes = 0
        self._unread_since = 0.0
        # Bytes since the last boundary that the parser told of, and how much of them was body.
        self._bytes_of_next_head = 0
        self._raw_bytes = 0
        self._body_bytes = 0

    # --- the socket

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or refuse to, when every connection is in use."""
        super().connection_made(transport)
        if not self._connections.admit(self, self.loop):
            self._refuse(TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the app, and make a place free."""
        self._connections.leave(self)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; what comes after a fault is thrown away, because nobody knows where a request would begin in it."""
        if self._refusal is not None or self.phase == "ending":
            return
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._refuse(self._refusal_for(error, data))
        self._settle()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what was asked in full before the caller closed its side; what it left unfinished is refused."""
        self._has_ended = True
        if self.phase == "ending":
            return False
        is_answered = self._running is None or self._running.response_complete
        if self._in_head or (self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete):
            self._refuse(CUT_SHORT)
            return True
        if is_answered:
            return False
        self.cycle.keep_alive = False
        return True

    # --- the parser

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        self._raw_bytes, self._bytes_of_next_head, self._body_bytes = self._bytes_of_next_head, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        super().on_url(url)
        if len(self.url) > MAX_TARGET_BYTES:
            raise Refused(TARGET_TOO_LONG)

    def on_headers_complete(self) -> None:
        """Judge the head before the app sees it."""
        self._in_head = False
        self._raw_bytes = 0
        version, method = self.parser.get_http_version(), self.parser.get_method()
        fault = fault_of_head(method, version, self.url, self.headers, self._connections.limits.opaque_below)
        if fault is not None:
            raise Refused(fault)
        self._is_upgrade = self.parser.should_upgrade()
        if not self._is_upgrade:
            super().on_headers_complete()
            # Trailers must not join the headers that the app has been given.
            self.headers = []

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request, unless it is about to be read anew without its wish for another protocol."""
        if not self._is_upgrade:
            super().on_message_complete()

    def _feed(self, data: bytes) -> None:
        self._raw_bytes += len(data)
        if self.phase == "idle" or self.phase == "new":
            self._bytes_of_next_head = len(data)
        parsed = None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            parsed = upgrade.args[0]
        if parsed is not None:
            self._stay_with_http(data[parsed:])
        elif self._in_head and self._raw_bytes > MAX_HEAD_BYTES:
            self._refuse(HEAD_TOO_LARGE)
        elif self._raw_bytes > CHUNK_SLACK_BYTES + CHUNK_OVERHEAD * self._body_bytes and not self._in_head:
            self._refuse(FRAMING)

    def _stay_with_http(self, rest: bytes) -> None:
        """Read a request that asks for another protocol as one that does not: a server may ignore the wish.

        Java's own client asks with its first request; the parser would take the body for the other protocol's bytes.
        """
        is_last = any(name == b"connection" and b"close" in value.lower() for name, value in self.headers)
        headers = [header for header in self.headers if header[0] not in _OF_UPGRADES]
        headers += [(b"connection", b"close")] * is_last
        start = b"%s %s HTTP/1.1\r\n" % (self.parser.get_method(), self.url)
        self.parser = httptools.HttpRequestParser(self)
        self._feed(start + b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n" + rest)

    def _refusal_for(self, error: httptools.HttpParserError, data: bytes) -> Refusal:
        cause = error.__context__
        match cause:
            case Refused():
                return cause.refusal
            case httptools.HttpParserError() | UnicodeError():
                return TARGET
            case BaseException():
                raise cause
        if isinstance(error, httptools.HttpParserInvalidURLError):
            return TARGET
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            begins_here = self._raw_bytes == len(data)
            return METHOD if begins_here and _METHOD_TOKEN.match(data) else SYNTAX
        return FRAMING if self._is_in_body() else SYNTAX

    # --- requests and answers

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on with the next request, or with the end that was waiting for this answer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            self._move("work")
        elif self._refusal is not None:
            self._end(self._refusal)
        elif self._is_in_body() and self.expect_100_continue and not self._body_bytes:
            # The caller was never told to go on: the next bytes may be its body or another request.
            self._end(None)
        self._settle()

    def _is_in_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body

    def _settle(self) -> None:
        """Tell the book what the connection waits for now."""
        running = self._running
        phase: Phase
        if self.phase == "ending":
            return
        if running is not None and not running.response_complete:
            phase = "body" if running.more_body else "work"
        elif self._in_head:
            phase = "head"
        elif running is None:
            phase = "new"
        else:
            phase = "rest" if self._is_in_body() else "idle"
        if phase != self.phase:
            self._move(phase)

    def _move(self, phase: Phase) -> None:
        before = self.phase
        # These go on with the deadline that they have.
        is_same_wait = (phase == "head" and before == "new") or (phase == "rest" and before == "body")
        self._connections.move(self, phase, self.since if is_same_wait else self.loop.time())

    def _refuse(self, refusal: Refusal) -> None:
        """Refuse what is being received, once everything asked before it is answered."""
        if self._refusal is not None or self.phase == "ending":
            return
        self._refusal = refusal
        if refusal not in (TOO_SLOW, TOO_MANY):
            self._connections.metrics.errors.labels(refusal.reason).inc()
        broken = self.cycle if self._is_in_body() else None
        if broken is not None:
            # The app must never take what it has of this body for the whole.
            broken.disconnected = True
            broken.message_event.set()
        if self.pipeline and self.pipeline[0][0] is broken:
            self.pipeline.popleft()
        running = self._running
        if running is None or running.response_complete or running is broken:
            self._end(None if broken is not None and broken.response_started else refusal)

    def _end(self, refusal: Refusal | None) -> None:
        """Close our side after a last answer. Read on for a moment: closed on unread bytes, the answer is lost."""
        if self.transport.is_closing():
            return
        self._move("ending")
        if refusal is not None:
            host, port = self.server or ("", None)
            base_url = f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
            self.transport.write(last_answer(refusal, base_url, self.server_state.default_headers))
        if self._has_ended or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.flow.resume_reading()
            self.transport.write_eof()

    # --- as the book of connections sees it

    def end_late(self) -> None:
        """End it: a request under way is told why."""
        if self.phase in ("head", "body") and not self._unread_bytes:
            self._refuse(TOO_SLOW)
        else:
            self.transport.abort()

    def make_room(self) -> None:
        """End it at once, unless a request of its own is under way, which is told why."""
        if self.phase == "body":
            self._refuse(TOO_SLOW)
        else:
            self.transport.abort()

    def unread_since(self, now: float) -> float | None:
        """Tell since when the caller has taken nothing of what waits for it; None if nothing waits."""
        unread: int = self.transport.get_write_buffer_size()
        if unread < self._unread_bytes or not self._unread_bytes:
            self._unread_since = now
        self._unread_bytes = unread
        return self._unread_since if unread else None

    def is_closing(self) -> bool:
        """Tell whether the transport has been closed on our side."""
        return self.transport.is_closing()
