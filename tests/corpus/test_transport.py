"""B71-B84: what is wrong around a body, not in it. Sent on a real socket to both addresses that take events."""

import gzip
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.corpus.case import CANARY, named
from tests.corpus.case import GOOD as EVENT
from tests.fakes.http_edge import AUTHORISED, SHORT, Edge, check_last_word, check_problem, served
from tests.fakes.http_server import Answer
from tests.fakes.ingest_edge import JSON_BATCH, STRUCTURED, started_ingest


@dataclass(frozen=True, slots=True)
class Address:
    """Where events are taken, and how a good body looks there."""

    path: bytes
    content_type: bytes
    body: bytes

    def head(self, *, content_type: bytes | None = None, authorised: bytes = AUTHORISED, more: bytes = b"") -> bytes:
        """The head but for its last line; an empty content type is left out."""
        written = self.content_type if content_type is None else content_type
        typed = b"Content-Type: %s\r\n" % written if written else b""
        return b"POST %s HTTP/1.1\r\nHost: x\r\n" % self.path + authorised + typed + more

    def whole(self, body: bytes | None = None, **head: Any) -> bytes:
        """A whole request."""
        sent = self.body if body is None else body
        return self.head(**head) + b"Content-Length: %d\r\n\r\n" % len(sent) + sent


ONE = Address(b"/v1/events", STRUCTURED.encode(), EVENT)
BATCH = Address(b"/v1/events/batch", JSON_BATCH.encode(), b"[" + EVENT + b"]")
BOTH = pytest.mark.parametrize("to", [ONE, BATCH], ids=["one", "batch"])


@pytest.fixture(scope="module")
async def edge() -> AsyncIterator[Edge]:
    async with served(await started_ingest()) as made:
        yield made


def check_refused(answer: Answer, slug: str) -> None:
    check_problem(answer, slug)
    assert CANARY.encode() not in answer.body


async def check_request(edge: Edge, request: bytes, slug: str) -> None:
    """Check that the app refuses a request, and takes nothing."""
    with edge.taking(0):
        check_refused(await edge.server.ask(request), slug)


async def check_protocol(edge: Edge, request: bytes, slug: str) -> None:
    """Check that the server refuses a request, takes nothing of it nor of what follows, and closes."""
    with edge.taking(0):
        await check_last_word(await (await edge.server.connect()).send(request, ONE.whole()), slug)


def refusing(*cases: tuple[str, Any]) -> pytest.MarkDecorator:
    """Parametrise a test with cases that are named after their number in the corpus."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in cases])


@BOTH
@refusing(
    ("B71 no content type", b""),
    ("B71 a page", b"text/html"),
    ("B71 a form", b"application/x-www-form-urlencoded"),
    ("B71 a payload alone", b"application/json"),
    ("B71 an unknown type", f"application/{CANARY}".encode()),
    ("B71 two types", b"%s\r\nContent-Type: %s" % (STRUCTURED.encode(), JSON_BATCH.encode())),
    ("B72 charset lie: GBK", b"application/cloudevents+json; charset=gbk"),
    ("B72 charset lie: UTF-16", b"application/cloudevents-batch+json; charset=utf-16"),
)
async def test_a_type_that_is_not_read_here_is_refused(edge: Edge, to: Address, case: bytes) -> None:
    await check_request(edge, to.whole(content_type=case), "unsupported-media-type")


async def test_b72_a_charset_that_the_bytes_belie_is_refused(edge: Edge) -> None:
    other = EVENT.decode().replace(CANARY, CANARY + "守望").encode("gb18030")
    await check_request(edge, ONE.whole(other, content_type=ONE.content_type + b"; charset=utf-8"), "malformed-json")
    with edge.taking(1):
        answer = await edge.server.ask(BATCH.whole(b"[" + other + b"," + EVENT + b"]"))
    assert [verdict["status"] for verdict in answer.json()["results"]] == ["refused", "accepted"]
    assert CANARY.encode() not in answer.body


BOMB = gzip.compress(b'{"' + b"a" * 10_000_000 + b'"}', 9, mtime=0)


@BOTH
@refusing(
    ("B73 gzip bomb", BOMB),
    ("B74 nested gzip", gzip.compress(BOMB, mtime=0)),
    ("B75 bad gzip: cut", gzip.compress(EVENT, mtime=0)[:-9]),
    ("B75 bad gzip: wrong sum", gzip.compress(EVENT, mtime=0)[:-8] + b"\0" * 8),
    ("B75 bad gzip: only its magic", b"\x1f\x8b"),
    ("B75 sound gzip", gzip.compress(EVENT, mtime=0)),
    ("B75 deflate", zlib.compress(EVENT)),
)
async def test_nothing_is_unpacked_whatever_it_calls_itself(edge: Edge, to: Address, case: bytes) -> None:
    """A body of 10 MB in 10 KB is never looked into: it costs what its 10 KB cost."""
    for encoding in (b"gzip", b"gzip, gzip", b"deflate", b"x-" + CANARY.encode()):
        encoded = to.whole(case, more=b"Content-Encoding: %s\r\n" % encoding)
        await check_request(edge, encoded, "unsupported-media-type")
    await check_request(edge, to.whole(case), "malformed-json")
    chunks = b"%x\r\n" % len(case) + case + b"\r\n0\r\n\r\n"
    coded = to.head(more=b"Transfer-Encoding: gzip, chunked\r\n") + b"\r\n" + chunks
    await check_protocol(edge, coded, "malformed-request")


@BOTH
async def test_b76_a_length_shorter_than_the_body_takes_nothing(edge: Edge, to: Address) -> None:
    cut = to.head(more=b"Content-Length: %d\r\n" % (len(to.body) - 5)) + b"\r\n" + to.body
    with edge.taking(0):
        caller = await (await edge.server.connect()).send(cut)
        check_refused(await caller.answer(), "malformed-json")
        # What is left of the body is no request.
        await check_last_word(caller, "malformed-request")


@BOTH
async def test_b76_a_length_longer_than_the_body_takes_nothing(edge: Edge, to: Address) -> None:
    long = to.head(more=b"Content-Length: %d\r\n" % (len(to.body) + 5)) + b"\r\n" + to.body
    with edge.taking(0):
        await check_last_word(await (await edge.server.connect()).send(long), "too-slow")
        await check_last_word((await (await edge.server.connect()).send(long)).close_our_side(), "malformed-request")


@BOTH
@refusing(
    ("B76 content-length negative", b"Content-Length: -1\r\n"),
    ("B76 content-length two", b"Content-Length: 2\r\nContent-Length: 300\r\n"),
    ("B76 content-length two in one", b"Content-Length: 2, 300\r\n"),
    ("B76 content-length no number", b"Content-Length: 0x" + CANARY.encode() + b"\r\n"),
    ("B76 content-length past all numbers", b"Content-Length: " + b"9" * 5_000 + b"\r\n"),
    ("B77 TE+CL", b"Transfer-Encoding: chunked\r\nContent-Length: 300\r\n"),
    ("B77 CL+TE", b"Content-Length: 300\r\nTransfer-Encoding: chunked\r\n"),
    ("B77 TE twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
    ("B77 TE hidden by a tab", b"Content-Length: 300\r\nTransfer-Encoding:\tchunked\r\n"),
    ("B77 TE misspelt", b"Transfer-Encoding: " + CANARY.encode() + b"\r\nContent-Length: 300\r\n"),
)
async def test_a_body_without_one_clear_end_is_refused(edge: Edge, to: Address, case: bytes) -> None:
    await check_protocol(edge, to.head(more=case) + b"\r\n0\r\n\r\n" + to.whole(), "malformed-request")


@BOTH
@refusing(
    ("B78 chunk size overflow", b"F" * 17 + b"\r\n"),
    ("B78 chunk size of 5,000 digits", b"0" * 4_999 + b"FFFFFFFFFFFFFFFFF\r\n"),
    ("B78 chunk size negative", b"-1\r\n"),
    ("B78 chunk size no number", b"%s\r\n" % CANARY.encode()),
    ("B78 chunk longer than its size", b"2\r\n" + EVENT + b"\r\n0\r\n\r\n"),
)
async def test_a_chunk_of_impossible_size_is_refused(edge: Edge, to: Address, case: bytes) -> None:
    chunked = to.head(more=b"Transfer-Encoding: chunked\r\n") + b"\r\n"
    await check_protocol(edge, chunked + case, "malformed-request")
    await check_protocol(edge, chunked + b"1\r\n \r\n" + case, "malformed-request")


@BOTH
async def test_b78_the_largest_possible_chunk_is_waited_for_no_longer_than_any_body(edge: Edge, to: Address) -> None:
    chunked = to.head(more=b"Transfer-Encoding: chunked\r\n") + b"\r\n7FFFFFFFFFFFFFFF\r\n"
    with edge.taking(0):
        await check_last_word(await (await edge.server.connect()).send(chunked + to.body), "too-slow")
    assert SHORT.body_seconds < 1


@BOTH
@refusing(
    ("B79 64 KiB header", b"X-Long: " + CANARY.encode() * 6_600 + b"\r\n"),
    ("B79 64 KiB of key", b"Authorization: Bearer " + CANARY.encode() * 6_600 + b"\r\n"),
    ("B79 64 KiB name of a header", CANARY.encode() * 6_600 + b": x\r\n"),
    ("B80 1,000 headers", b"".join(b"X-%d: y\r\n" % number for number in range(1_000))),
    ("B80 1,000 equal headers", b"Ce-Type: x\r\n" * 1_000),
)
async def test_a_head_past_its_bounds_is_refused(edge: Edge, to: Address, case: bytes) -> None:
    await check_protocol(edge, to.whole(more=case), "head-too-large")


@BOTH
@refusing(
    ("B81 method override by header", (b"", b"X-HTTP-Method-Override: POST\r\n")),
    ("B81 method override by another", (b"", b"X-HTTP-Method: POST\r\nX-Method-Override: POST\r\n")),
    ("B81 method override in the query", (b"?_method=POST", b"")),
)
async def test_a_method_is_what_the_request_line_says(edge: Edge, to: Address, case: tuple[bytes, bytes]) -> None:
    query, header = case
    disguised = to.whole(more=header).replace(b"POST " + to.path, b"PUT " + to.path + query, 1)
    await check_request(edge, disguised, "method-not-allowed")


@BOTH
async def test_b81_an_override_to_another_method_changes_nothing(edge: Edge, to: Address) -> None:
    with edge.taking(1):
        assert (await edge.server.ask(to.whole(more=b"X-HTTP-Method-Override: DELETE\r\n"))).status == 202


@BOTH
@refusing(
    ("B82 path traversal", b"/static/../.."),
    ("B82 path traversal, encoded", b"/%2e%2e/%2E%2E"),
    ("B82 path traversal, slashes encoded", b"/..%2f..%2f" + CANARY.encode()),
    ("B82 path traversal, backslashes", b"/..%5c..%5c"),
    ("B82 double encoding", b"/%252e%252e%252f"),
    ("B82 overlong slash", b"/%c0%af.."),
    ("B82 NUL", b"/%00"),
    ("B82 two slashes", b"/"),
)
async def test_a_path_leads_nowhere_but_where_it_says(edge: Edge, to: Address, case: bytes) -> None:
    await check_request(edge, to.whole().replace(to.path, case + to.path, 1), "not-found")


@BOTH
async def test_b82_an_encoded_slash_is_no_slash(edge: Edge, to: Address) -> None:
    await check_request(edge, to.whole().replace(b"/v1/", b"/v1%2F", 1), "not-found")
    await check_request(edge, to.whole().replace(b"/v1/", b"/v1%252F", 1), "not-found")


@BOTH
async def test_b83_an_idempotency_key_is_not_what_tells_events_apart(edge: Edge, to: Address) -> None:
    """B83: an event's own id tells them apart, so a header that two of them share loses neither."""
    header = b"Idempotency-Key: 7f9c\r\n"
    with edge.taking(2):
        assert (await edge.server.ask(to.whole(more=header))).status == 202
        other = to.whole(named(to.body, "e-2"), more=header)
        assert (await edge.server.ask(other)).status == 202
    assert b'"e-2"' in edge.log.records[-1].value


@BOTH
@refusing(
    ("B84 300-char key", b"Bearer " + b"k" * 300),
    ("B84 300-char key with a dot", b"Bearer sw_" + b"k" * 148 + b"." + b"k" * 148),
    ("B84 300-char key id of a known form", b"Bearer sw_all." + CANARY.encode() * 29),
)
async def test_a_long_key_is_no_key(edge: Edge, to: Address, case: bytes) -> None:
    await check_request(edge, to.whole(authorised=b"Authorization: %s\r\n" % case), "unauthorised")


@BOTH
async def test_b84_a_300_char_idempotency_key_is_not_looked_at(edge: Edge, to: Address) -> None:
    with edge.taking(1):
        assert (await edge.server.ask(to.whole(more=b"Idempotency-Key: " + b"k" * 300 + b"\r\n"))).status == 202
