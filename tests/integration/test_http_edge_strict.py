"""What is not clean HTTP: refused with a problem document, nothing taken, the connection closed."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.http_edge import (
    AUTHORISED,
    CANARY,
    CHUNKED,
    EVENT,
    GET,
    HEAD,
    POST,
    Edge,
    check_last_word,
    check_problem,
    post,
    served,
)
from tests.fakes.ingest_edge import make_event, started_ingest

LONG = CANARY * 7_000
END = b" HTTP/1.1\r\nHost: x\r\n\r\n"
MALFORMED = {
    "a length and a coding": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding and a length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "two equal lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length with a sign": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "a length in words": HEAD + b"Content-Length: " + CANARY + b"\r\n\r\n",
    "a length past all numbers": HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "a chunk size that is no number": CHUNKED + b"xyz\r\n" + EVENT + b"\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-1\r\n",
    "a chunk size past all numbers": CHUNKED + b"F" * 17 + b"\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "chunks that end with LF": CHUNKED + b"%x\n" % len(EVENT) + EVENT + b"\n0\n\n",
    "an endless chunk extension": CHUNKED + b"1;" + b"x" * 400_000,
    "an endless trailer": CHUNKED + b"1\r\n{\r\n0\r\nx: " + b"x" * 400_000,
    "a folded line": HEAD + b"X: a\r\n b\r\n\r\n",
    "lines that end with LF": GET.replace(b"\r\n", b"\n"),
    "one line that ends with LF": b"GET /livez HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
    "one line that ends with CR": b"GET /livez HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
    "NUL in a value": HEAD + b"X: a\0b\r\n\r\n",
    "NUL in a name": HEAD + b"X\0: ab\r\n\r\n",
    "a space before the colon": HEAD + b"X : ab\r\n\r\n",
    "a line without a colon": HEAD + CANARY + b"\r\n\r\n",
    "another transfer coding": HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
    "two transfer codings": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an unknown transfer coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
    "HTTP/0.9": b"GET /livez\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": GET.replace(b"1.1", b"9.9"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no Host": b"GET /livez HTTP/1.1\r\n\r\n",
    "an empty Host": b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n",
    "two Hosts": b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "a Host that is none": b"GET /livez HTTP/1.1\r\nHost: x/" + CANARY + b"\r\n\r\n",
    "a method of 300 letters": b"A" * 300 + b" /" + END,
    "a method with odd letters": b"P()ST /" + END,
    "a target with a fragment": b"GET /livez#" + CANARY + END,
    "a target that is no path": b"GET " + CANARY + END,
    "a target of a host alone": b"GET http://" + CANARY + END,
    "bytes past ASCII in a target": b"GET /\xe4\xbd\xa0" + END,
}
REFUSED = {
    **{name: ("malformed-request", request) for name, request in MALFORMED.items()},
    "a method that nobody knows": ("unknown-method", b"CANARY /" + END),
    "a method in small letters": ("unknown-method", b"post /v1/events" + END),
    "CONNECT": ("unknown-method", b"CONNECT " + CANARY + b".test:443" + END),
    "a long target": ("target-too-long", b"GET /" + LONG + END),
    "a long query": ("target-too-long", b"GET /?" + CANARY * 900 + END),
    "a long header": ("head-too-large", HEAD + b"X: " + LONG + b"\r\n\r\n"),
    "a long header without an end": ("head-too-large", HEAD + b"X: " + CANARY * 4_000),
    "many headers": ("head-too-large", HEAD + b"X: y\r\n" * 100 + b"\r\n"),
    "dot segments": ("not-found", POST.replace(b"/v1", b"/static/../v1", 1)),
    "encoded dot segments": ("not-found", POST.replace(b"/v1", b"/static/%2e%2E/v1", 1)),
    "an encoded slash": ("not-found", POST.replace(b"/v1/", b"/v1%2F", 1)),
    "an encoded backslash": ("not-found", POST.replace(b"/v1/", b"/v1%5c", 1)),
    "a path out of an event's place": ("not-found", POST.replace(b"/events", b"/events/x/..%2f..%2fevents", 1)),
}


@pytest.fixture(scope="module")
async def edge() -> AsyncIterator[Edge]:
    async with served(await started_ingest()) as made:
        yield made


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_not_clean_http_is_refused_and_the_connection_closed(edge: Edge, name: str) -> None:
    slug, request = REFUSED[name]
    with edge.taking(0):
        # The honest request behind it must not be served: nobody knows where it begins.
        await check_last_word(await (await edge.server.connect()).send(request, POST), slug)


async def test_each_reason_is_counted(edge: Edge) -> None:
    with (
        edge.counting(1, "protocol_errors_total", reason="host"),
        edge.counting(0, "protocol_errors_total", reason="syntax"),
    ):
        await check_last_word(await (await edge.server.connect()).send(MALFORMED["no Host"]), "malformed-request")


async def test_paths_are_decoded_once(edge: Edge) -> None:
    for path in (b"/v1/%2565vents", b"/%252e%252e/v1/events", b"/v1%252fevents"):
        check_problem(await edge.server.ask(POST.replace(b"/v1/events", path, 1)), "not-found")


async def test_an_events_id_may_hold_an_encoded_slash(edge: Edge) -> None:
    odd = repr(make_event(id="a/../b")).replace("'", '"').encode()
    assert (await edge.server.ask(post(body=odd))).status == 202
    found = await edge.server.ask(b"GET /v1/events/a%2F..%2Fb HTTP/1.1\r\nHost: x\r\n" + AUTHORISED + b"\r\n")
    assert (found.status, found.json()["id"]) == (200, "a/../b")


@pytest.mark.parametrize("method", [b"TRACE", b"PUT", b"DELETE", b"PROPFIND", b"OPTIONS"])
async def test_methods_that_are_not_served_are_named_as_such(edge: Edge, method: bytes) -> None:
    answer = await edge.server.ask(method + b" /v1/events" + END)
    check_problem(answer, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


async def test_http_1_0_needs_no_host_and_is_closed(edge: Edge) -> None:
    caller = await (await edge.server.connect()).send(b"GET /livez HTTP/1.0\r\n\r\n")
    assert (await caller.answer()).status == 200
    assert await caller.closed() == b""
