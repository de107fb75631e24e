"""The chaos tests' proxy: what each of its faults looks like to the two programs that it stands between."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from random import Random

import pytest

from deploy.local.ports import LOOPBACK
from tests.chaos.proxy import Link, Proxies

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
def proxies() -> Iterator[Proxies]:
    with Proxies() as running:
        yield running


@dataclass
class Echo:
    """A server that sends back what it gets, and notes what that was."""

    port: int = 0
    heard: bytes = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65536):
                self.heard += part
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            self.heard += b"<reset>"
        finally:
            writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    server = await asyncio.start_server(made.serve, LOOPBACK, 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await server.wait_closed()


@pytest.fixture
async def link(proxies: Proxies, echo: Echo) -> AsyncIterator[Link]:
    link = proxies.link("test", echo.port)
    yield link
    link.cut()


async def connect(link: Link) -> Streams:
    return await asyncio.open_connection(LOOPBACK, link.port)


async def answer(streams: Streams, question: bytes, seconds: float = 5.0) -> bytes:
    """What comes back; raises TimeoutError when that is not all of the question."""
    reader, writer = streams
    writer.write(question)
    async with asyncio.timeout(seconds):
        return await reader.readexactly(len(question))


async def nothing_comes(work: Awaitable[object], seconds: float = 0.15) -> bool:
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError:
        return True
    return False


async def end(streams: Streams) -> None:
    streams[1].close()
    try:
        await streams[1].wait_closed()
    except ConnectionError:
        return


async def test_bytes_pass_whole_and_are_counted_both_ways(link: Link) -> None:
    streams = await connect(link)
    text = Random(1).randbytes(3_000_000)

    assert await answer(streams, text) == text
    assert (link.count.connections, link.count.bytes, link.count.open) == (1, 6_000_000, 1)
    await end(streams)


async def test_a_client_that_has_said_all_still_gets_its_answer(link: Link) -> None:
    reader, writer = await connect(link)
    writer.write(b"last words")
    writer.write_eof()

    assert await reader.read() == b"last words"
    writer.close()
    await writer.wait_closed()


async def test_a_cut_resets_both_ends_and_refuses_until_healed(link: Link, echo: Echo) -> None:
    streams = await connect(link)
    await answer(streams, b"before")

    link.cut()

    with pytest.raises(ConnectionResetError):
        await streams[0].read()
    with pytest.raises(ConnectionRefusedError):
        await connect(link)
    assert link.count.resets == 1
    link.heal()
    again = await connect(link)
    assert await answer(again, b"after") == b"after"
    assert echo.heard == b"before<reset>after"
    await end(streams)
    await end(again)


async def test_a_black_hole_swallows_nothing_for_good(link: Link, echo: Echo) -> None:
    old = await connect(link)
    await answer(old, b"one ")

    link.blackhole()
    new = await connect(link)

    assert await nothing_comes(answer(old, b"two "))
    assert await nothing_comes(answer(new, b"three "))
    assert echo.heard == b"one "
    link.heal()
    async with asyncio.timeout(5):
        assert (await old[0].readexactly(4), await new[0].readexactly(6)) == (b"two ", b"three ")
    await end(old)
    await end(new)


async def test_a_lost_answer_was_heard_and_its_connection_does_not_survive(link: Link, echo: Echo) -> None:
    streams = await connect(link)
    await answer(streams, b"one ")

    link.drop_replies()

    assert await nothing_comes(answer(streams, b"two "))
    assert echo.heard == b"one two "
    assert link.count.dropped == 4
    link.heal()
    with pytest.raises(ConnectionResetError):
        await streams[0].read()
    assert link.healthy
    await end(streams)


async def test_a_delayed_answer_comes_late_and_in_order(link: Link) -> None:
    streams = await connect(link)
    link.delay(0.1, jitter=0.05)
    started = time.monotonic()
    text = b"".join(b"%04d" % number for number in range(50))
    for number in range(0, len(text), 4):
        streams[1].write(text[number : number + 4])
        await asyncio.sleep(0)

    async with asyncio.timeout(5):
        assert await streams[0].readexactly(len(text)) == text
    assert time.monotonic() - started >= 0.05
    await end(streams)


async def test_healing_hands_over_at_once_what_was_still_waiting(link: Link) -> None:
    streams = await connect(link)
    link.delay(3600)
    assert await nothing_comes(answer(streams, b"patience"))

    link.heal()

    async with asyncio.timeout(5):
        assert await streams[0].readexactly(8) == b"patience"
    await end(streams)


async def test_a_narrow_link_takes_its_time_and_loses_nothing(link: Link) -> None:
    streams = await connect(link)
    link.limit(1_000_000)
    text = Random(2).randbytes(200_000)
    started = time.monotonic()

    assert await answer(streams, text) == text

    assert time.monotonic() - started >= 0.2
    await end(streams)


async def test_some_connections_are_reset_by_lot(link: Link) -> None:
    all_streams = [await connect(link) for _ in range(20)]
    link.reset_some(1.0, Random(3))

    for streams in all_streams:
        with pytest.raises(ConnectionResetError):
            await streams[0].read()
        await end(streams)
    assert link.count.resets == 20
    assert not link.healthy


async def test_a_server_that_is_away_is_seen_as_a_broken_connection_and_found_when_it_is_back(
    proxies: Proxies, echo: Echo
) -> None:
    nobody = proxies.link("nobody", 9, echo.port)
    with pytest.raises(ConnectionResetError):
        reader, _writer = await asyncio.open_connection(LOOPBACK, nobody.ports[0])
        await reader.read()
    streams = await asyncio.open_connection(LOOPBACK, nobody.ports[1])

    assert await answer(streams, b"here") == b"here"
    await end(streams)
