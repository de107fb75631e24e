"""The HTTP server under callers who are slow, many, or gone, over real sockets: none keeps what honest ones need."""

import asyncio
import logging
import resource
from collections.abc import AsyncIterator, Iterator

import pytest

from shared.http import protocol_connections
from shared.http.protocol_limits import RESERVED_FILES, HttpLimits
from tests.fakes.http_edge import (
    AUTHORISED,
    CHUNKED,
    EVENT,
    GET,
    HEAD,
    POST,
    SHORT,
    UNFINISHED,
    Edge,
    check_last_word,
    check_problem,
    post,
    served,
)
from tests.fakes.http_server import Caller, running_server
from tests.fakes.ingest_edge import IngestUnderTest, started_ingest
from tests.fakes.notifier_edge import ACKNOWLEDGE, LOGIN, notifier_app


@pytest.fixture(scope="module")
async def ingest() -> IngestUnderTest:
    return await started_ingest()


@pytest.fixture(scope="module")
async def edge(ingest: IngestUnderTest) -> AsyncIterator[Edge]:
    async with served(ingest) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What callers do wrong is counted; it is no line, and no traceback, in the log."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def drip(caller: Caller, piece: bytes = b"x") -> None:
    """Send a little, steadily, until the server has had enough."""
    while not caller.is_closed() and not caller.writer.is_closing():
        await caller.send(piece)
        await asyncio.sleep(0.03)


async def check_dripping(caller: Caller, begun: bytes, slug: str = "too-slow", piece: bytes = b"x") -> None:
    """Check that a request is refused and its connection closed, although something always comes."""
    dripping = asyncio.create_task(drip(await caller.send(begun), piece))
    check_problem(await caller.answer(), slug)
    await caller.closed()
    await dripping


# --- slow callers


async def test_a_connection_without_a_request_is_closed_without_a_word(edge: Edge) -> None:
    with edge.counting(1, "connections_closed_total", reason="head"):
        assert await (await edge.server.connect()).closed() == b""


async def test_a_head_that_drips_is_refused_at_its_deadline(edge: Edge) -> None:
    with edge.counting(1, "connections_closed_total", reason="head"):
        await check_dripping(await edge.server.connect(), HEAD + b"X-Long: ")


@pytest.mark.parametrize("path", [b"/v1/events", b"/v1/events/batch"])
async def test_a_body_that_drips_is_refused_at_its_deadline(edge: Edge, path: bytes) -> None:
    begun = post(path)
    with edge.taking(0):
        await asyncio.gather(
            check_dripping(await edge.server.connect(), begun + b"Content-Length: 900\r\n\r\n"),
            check_dripping(
                await edge.server.connect(), begun + b"Transfer-Encoding: chunked\r\n\r\n", piece=b"1\r\n \r\n"
            ),
        )


async def test_a_body_that_goes_on_dripping_after_its_answer_is_cut_off(edge: Edge) -> None:
    stranger = HEAD.replace(AUTHORISED, b"") + b"Content-Length: 900\r\n\r\n"
    with edge.counting(1, "connections_closed_total", reason="body"):
        await check_dripping(await edge.server.connect(), stranger, "unauthorised")


@pytest.mark.parametrize("head", [LOGIN, ACKNOWLEDGE], ids=["form", "json"])
async def test_the_notifiers_forms_and_documents_are_held_to_the_same(head: bytes) -> None:
    async with running_server(await notifier_app(), SHORT) as server:
        await check_dripping(await server.connect(), head + b"Content-Length: 900\r\n\r\n")
        unfinished = head + b"Content-Length: 900\r\n\r\n{"
        await check_last_word((await (await server.connect()).send(unfinished)).close_our_side(), "malformed-request")
        dropped = await (await server.connect()).send(unfinished)
        dropped.writer.transport.abort()
        assert (await server.ask(GET)).status == 200


async def test_an_idle_connection_is_closed_however_many_empty_lines_it_sends(edge: Edge) -> None:
    callers = [await (await edge.server.connect()).send(GET) for _ in range(2)]
    with edge.counting(2, "connections_closed_total", reason="idle"):
        assert [(await caller.answer()).status for caller in callers] == [200, 200]
        await asyncio.gather(drip(callers[1], b"\r\n"), *(caller.closed() for caller in callers))


async def test_a_crowded_server_waits_less_for_the_next_request(ingest: IngestUnderTest) -> None:
    async with served(ingest, HttpLimits(max_connections=4, head_seconds=0.2, idle_seconds=60)) as edge:
        callers = [await (await edge.server.connect()).send(GET) for _ in range(3)]
        await asyncio.gather(*(caller.answer() for caller in callers))
        await edge.server.until_counted("connections_closed_total", reason="idle")


async def test_a_caller_who_does_not_read_is_cut_off(edge: Edge) -> None:
    caller = await edge.server.connect(small_window=True)
    await caller.send(*[b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 50] * 4)
    await edge.server.until_counted("connections_closed_total", reason="unread")


# --- many callers


async def test_a_newcomer_takes_the_place_of_who_has_been_idle_longest(ingest: IngestUnderTest) -> None:
    async with served(ingest, HttpLimits(max_connections=3)) as edge:
        silent = await edge.server.connect()
        in_head = await (await edge.server.connect()).send(HEAD)
        idle = await (await edge.server.connect()).send(GET)
        assert (await idle.answer()).status == 200
        assert (await edge.server.ask(GET)).status == 200
        assert await silent.closed() == b""
        assert (await edge.server.ask(GET)).status == 200
        assert await in_head.closed() == b""
        assert edge.server.count("connections_closed_total", reason="room") == 2
        assert (await (await idle.send(GET)).answer()).status == 200


async def test_requests_under_way_keep_their_places_and_a_newcomer_is_told_to_come_back() -> None:
    async with served(await started_ingest(), HttpLimits(max_connections=3)) as edge:
        edge.server.do(edge.log.hold)
        under_way = [await (await edge.server.connect()).send(POST) for _ in range(3)]
        while edge.log.waiting < 3:
            await asyncio.sleep(0.005)
        refused = await (await edge.server.connect()).answer()
        check_problem(refused, "too-many-connections")
        assert refused.headers["retry-after"] == "1"
        edge.server.do(edge.log.let_go)
        assert [(await caller.answer()).status for caller in under_way] == [202] * 3
        assert (await edge.server.ask(GET)).status == 200
        assert edge.server.count("connections_refused_total") == 1


async def test_slow_bodies_make_room_too(ingest: IngestUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_connections, "BODY_GRACE_SECONDS", 0.0)
    async with served(ingest, HttpLimits(max_connections=3)) as edge:
        slow = [await (await edge.server.connect()).send(UNFINISHED) for _ in range(3)]
        while edge.server.count("connections") < 3:
            await asyncio.sleep(0.005)
        assert (await edge.server.ask(GET)).status == 200
        await check_last_word(slow[0], "too-slow")


async def test_an_honest_caller_is_served_among_hundreds_of_others(ingest: IngestUnderTest) -> None:
    async with served(ingest, HttpLimits(max_connections=50)) as edge:
        for number in range(300):
            await (await edge.server.connect()).send((b"", HEAD, GET, GET[:9])[number % 4])
        honest = await edge.server.connect()
        for _ in range(10):
            assert (await (await honest.send(POST)).answer()).status == 202
        assert edge.server.count("connections") <= 50


def test_there_are_never_more_connections_than_files_that_may_be_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limits, hard = HttpLimits(max_connections=1_000), RESERVED_FILES + 100
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: raised.append(wanted))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4_096))
    assert limits.within_open_files() == limits
    assert raised == [(4_096, 4_096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (hard, hard))
    assert limits.within_open_files().max_connections == 100
    caplog.clear()


# --- requests after requests, and halves of them


async def test_requests_sent_at_once_are_answered_in_order(edge: Edge) -> None:
    with edge.taking(2):
        caller = await (await edge.server.connect()).send(POST + GET + POST)
        assert [(await caller.answer()).status for _ in range(3)] == [202, 200, 202]


@pytest.mark.parametrize(
    "broken",
    [HEAD + b"Content-Length: -1\r\n\r\n", CHUNKED + b"xyz\r\n", b"GET /livez HTTP/1.1\r\n\r\n", b"\x00\r\n\r\n"],
    ids=["length", "chunks", "host", "nonsense"],
)
async def test_a_broken_request_is_refused_after_the_answers_before_it(edge: Edge, broken: bytes) -> None:
    with edge.taking(2):
        edge.server.do(edge.log.hold)
        caller = await (await edge.server.connect()).send(POST + POST + broken + POST)
        while not edge.log.waiting:
            await asyncio.sleep(0.005)
        edge.server.do(edge.log.let_go)
        assert [(await caller.answer()).status for _ in range(2)] == [202, 202]
        await check_last_word(caller, "malformed-request")


@pytest.mark.parametrize("unfinished", [HEAD, UNFINISHED, CHUNKED + b"5\r\n{"], ids=["head", "length", "chunks"])
async def test_an_unfinished_request_is_never_taken(edge: Edge, unfinished: bytes) -> None:
    with edge.taking(0):
        half_closed = await (await edge.server.connect()).send(unfinished)
        await check_last_word(half_closed.close_our_side(), "malformed-request")
        dropped = await (await edge.server.connect()).send(unfinished)
        dropped.writer.transport.abort()
        await edge.server.until_left()


async def test_who_closes_its_side_after_a_whole_request_is_still_answered(edge: Edge) -> None:
    with edge.taking(1):
        caller = (await (await edge.server.connect()).send(POST)).close_our_side()
        assert (await caller.answer()).status == 202
        assert await caller.closed() == b""


async def test_who_asks_before_sending_is_told_to_go_on(edge: Edge) -> None:
    asking = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(EVENT)
    caller = await (await edge.server.connect()).send(asking)
    assert (await caller.answer()).status == 100
    assert (await (await caller.send(EVENT)).answer()).status == 202
    refused = await (await edge.server.connect()).send(asking.replace(AUTHORISED, b""))
    assert (await refused.answer()).status == 401
    # Nobody could tell whether the next bytes were the body after all.
    assert await refused.closed() == b""


async def test_a_wish_for_another_protocol_is_ignored(edge: Edge) -> None:
    """Java's own client sends one with its first request."""
    wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    wishing = post(body=EVENT, headers=wish)
    with edge.taking(3):
        caller = await (await edge.server.connect()).send(wishing)
        assert (await caller.answer()).status == 202
        await caller.send(wishing[:-100], wishing[-100:])
        assert (await caller.answer()).status == 202
        assert (await (await caller.send(POST)).answer()).status == 202


async def test_trailers_are_no_headers(edge: Edge) -> None:
    whole = b"%x\r\n" % len(EVENT) + EVENT + b"\r\n0\r\n%s\r\n\r\n"
    stranger = CHUNKED.replace(AUTHORISED, b"") + whole % AUTHORISED.rstrip()
    assert (await edge.server.ask(stranger)).status == 401
    assert (await edge.server.ask(CHUNKED + whole % b"Content-Type: text/plain")).status == 202
