"""Callers that misuse HTTP: slow on purpose, idle, many, torn off in the middle, or of two minds about a length."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from urllib.parse import urlsplit

from tests.chaos.base import Effect
from tests.chaos.faults.promises import must
from tests.chaos.faults.sending import illness, in_ledger, some_homes
from tests.chaos.field_app import FieldEvent, Kind
from tests.chaos.world import World

CONNECTIONS = 2_000
SLOW_OF_EACH = 40
CUT_WITHIN_SECONDS = 10.0
ANSWER_SECONDS = 5.0
Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def wires(world: World, count: int) -> AsyncIterator[Sequence[Wire]]:
    """Open connections to ingest; those that it refuses are left out. All are dropped at the end."""
    address = urlsplit(world.services["ingest"].base_url)
    opened = await asyncio.gather(
        *(asyncio.open_connection(address.hostname, address.port) for _ in range(count)), return_exceptions=True
    )
    held = [wire for wire in opened if not isinstance(wire, BaseException)]
    try:
        yield held
    finally:
        for _, writer in held:
            writer.transport.abort()


def head(world: World, *lines: str) -> bytes:
    """The first lines of an event's request, without the blank line that ends them."""
    key = f"Authorization: Bearer {world.api_key}"
    first = ("POST /v1/events HTTP/1.1", "Host: ingest", key, "Content-Type: application/cloudevents+json")
    return "".join(f"{line}\r\n" for line in (*first, *lines)).encode()


async def hostile_callers(world: World, rng: Random) -> Effect:
    """F71: bytes by the second in headers and bodies, idle connections, and 2,000 of them; honest callers go on."""
    taken = world.load.counts.ok
    async with wires(world, CONNECTIONS) as idle, wires(world, 2 * SLOW_OF_EACH) as slow:
        began = time.monotonic()
        for reader_writer in slow[:SLOW_OF_EACH]:
            reader_writer[1].write(head(world))
        for reader_writer in slow[SLOW_OF_EACH:]:
            reader_writer[1].write(head(world, "Content-Length: 400") + b"\r\n{")
        while time.monotonic() - began < CUT_WITHIN_SECONDS + 1:
            for place, (_, writer) in enumerate(slow):
                with contextlib.suppress(ConnectionError):
                    writer.write(b"X" if place < SLOW_OF_EACH else b" ")
            await asyncio.sleep(1)
        cut = sum([await _is_cut(wire) for wire in slow])
        idle_cut = sum([await _is_cut(wire) for wire in idle])
        connections = len(idle) + len(slow)
    honest = world.load.counts.ok - taken
    must(honest > 0, "no honest caller was served meanwhile")
    seen = f"{connections} connections held, {honest} honest events taken meanwhile"
    return Effect(
        f"{seen}; after {CUT_WITHIN_SECONDS:g} s {cut} of {len(slow)} slow and {idle_cut} of {len(idle)} idle were cut",
        connections,
    )


async def _is_cut(wire: Wire) -> bool:
    """Whether the other side has answered or closed: a slow request is over then."""
    reader, writer = wire
    if writer.transport.is_closing() or reader.at_eof():
        return True
    try:
        async with asyncio.timeout(0.005):
            await reader.read(1)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


async def torn_requests(world: World, rng: Random) -> Effect:
    """F72: nothing of a request that was not whole, or of two lengths, may be taken."""
    homes = some_homes(world, rng, 4)
    torn = [illness(world, home, "66.00", kind=Kind.INVALID) for home in homes]
    broken = 0
    async with wires(world, len(torn)) as open_wires:
        for (_, writer), event in zip(open_wires, torn, strict=True):
            body = event.body
            writer.write(head(world, f"Content-Length: {len(body)}") + b"\r\n" + body[: rng.randrange(1, len(body))])
            await writer.drain()
            broken += 1
    two_lengths = [illness(world, home, "67.00", kind=Kind.INVALID) for home in homes]
    refused = [await _ask(world, request) for request in _of_two_lengths(world, two_lengths)]
    must(all(status is None or 400 <= status < 500 for status in refused), f"two lengths were answered {refused}")
    pipelined = await _pipelined(world, illness(world, homes[0], "68.00"))
    half_closed = await _half_closed(world, illness(world, homes[0], "69.00"))
    await asyncio.sleep(1)
    ids = [event.id for event in (*torn, *two_lengths)]
    must(await in_ledger(world, ids) == 0, "a part of a request was taken for an event")
    seen = f"{broken} requests torn, {len(refused)} of two lengths, none taken"
    return Effect(f"{seen}; {pipelined} pipelined and {half_closed} half-closed ones answered", broken + len(refused))


def _of_two_lengths(world: World, events: Sequence[FieldEvent]) -> Sequence[bytes]:
    """Requests whose length the two sides could read differently."""
    first, second, third, fourth = (event.body for event in events)
    chunked = f"{len(second):x}\r\n".encode() + second + b"\r\n0\r\n\r\n"
    return (
        head(world, f"Content-Length: {len(first)}", f"Content-Length: {len(first) - 5}") + b"\r\n" + first,
        head(world, f"Content-Length: {len(second)}", "Transfer-Encoding: chunked") + b"\r\n" + chunked,
        head(world, "Content-Length: -1") + b"\r\n" + third,
        head(world, "Transfer-Encoding: chunked") + b"\r\nffffffffffffffffff\r\n" + fourth,
    )


async def _ask(world: World, request: bytes) -> int | None:
    """Send bytes and return the status that comes back; None if the connection was closed without one."""
    async with wires(world, 1) as ((reader, writer),):
        writer.write(request)
        return await status_of(reader)


async def status_of(reader: asyncio.StreamReader) -> int | None:
    """Read the status that comes back; None if none does in time."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            line = await reader.readline()
    except (TimeoutError, ConnectionError):
        return None
    return int(line.split()[1]) if line.startswith(b"HTTP/") else None


async def _pipelined(world: World, event: FieldEvent) -> int:
    """Two requests in one go, both only to be checked; how many were answered 200."""
    request = _dry_run(world, event)
    async with wires(world, 1) as ((reader, writer),):
        writer.write(request + request)
        answers = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while answers.count(b"HTTP/1.1 200") < 2 and (part := await reader.read(4096)):
                    answers += part
    return answers.count(b"HTTP/1.1 200")


async def _half_closed(world: World, event: FieldEvent) -> int:
    """A caller that closes its side at once and still wants to hear the answer."""
    async with wires(world, 1) as ((reader, writer),):
        writer.write(_dry_run(world, event))
        writer.write_eof()
        return int(await status_of(reader) == 200)


def _dry_run(world: World, event: FieldEvent) -> bytes:
    request = head(world, f"Content-Length: {len(event.body)}").replace(b"/v1/events ", b"/v1/events?dry_run=true ")
    return request + b"\r\n" + event.body
