"""A TCP proxy that can be told to misbehave, in a thread with an event loop of its own.

    with Proxies() as proxies:
        link = proxies.link("ingest to the database", 5432)
        ... connect to 127.0.0.1:link.port ...
        link.cut(); link.heal()

All methods of a Link may be called from any thread; what they order has happened when they return.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any, Self

import uvloop

from deploy.local.ports import LOOPBACK, free_port
from tests.chaos.proxied import Side, Toxics

# Below the range that the kernel takes ports for outgoing connections from: a port that is closed for a while (a cut
# link, a killed broker) must still be free when it opens again.
FIRST_PORT = 21_000
ORDER_SECONDS = 10.0
DRAW_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Count:
    """What went through a link so far.

    connections: accepted. bytes: forwarded, both ways. resets: connections that the proxy broke. dropped: bytes of
    answers thrown away. open: connections at this moment.
    """

    connections: int = 0
    bytes: int = 0
    resets: int = 0
    dropped: int = 0
    open: int = 0


class Link:
    """The way from one kind of client to one server (or to several ports of it), healthy until told otherwise.

    Made by `Proxies.link`. Attributes without a word here are for the proxy's own thread.
    """

    def __init__(self, name: str, targets: Sequence[int], order: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self.name = name
        self._order = order
        self._routes = [(free_port(FIRST_PORT), target) for target in targets]
        self._servers: list[asyncio.Server] = []
        self._open: set[Side] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._drawing: asyncio.TimerHandle | None = None
        self._is_cut = False
        self.toxics = Toxics()
        self.plain = True
        self.connections = self.bytes = self.resets = self.dropped = 0

    @property
    def port(self) -> int:
        """Loopback port that clients connect to (the first, where there are several)."""
        return self._routes[0][0]

    @property
    def ports(self) -> Sequence[int]:
        """All ports that clients connect to, in the order of the targets."""
        return [port for port, _ in self._routes]

    @property
    def count(self) -> Count:
        """What went through so far."""
        return Count(self.connections, self.bytes, self.resets, self.dropped, len(self._open))

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong with it now."""
        return self.plain and not (self._is_cut or self.toxics.blackhole or self._drawing)

    def cut(self) -> None:
        """Reset what is connected; new connections are refused."""
        self._order(self._cut())

    def blackhole(self) -> None:
        """Accept, and forward nothing either way; what was sent meanwhile arrives after `heal`."""
        self._order(self._hold_all())

    def drop_replies(self) -> None:
        """Forward requests, throw answers away; `heal` resets the connections that lost some."""
        self._order(self._turn(drop_replies=True))

    def delay(self, seconds: float, jitter: float = 0.0) -> None:
        """Answers arrive so much later, plus or minus the jitter, in order: a round trip takes that much longer."""
        self._order(self._turn(delay=seconds, jitter=jitter))

    def limit(self, bytes_per_second: float) -> None:
        """All connections together carry no more than this each way."""
        self._order(self._turn(rate=bytes_per_second))

    def reset_some(self, probability_per_second: float, rng: Random) -> None:
        """Reset each connection with this probability in each second of its life."""
        self._order(self._draw_lots(1 - (1 - probability_per_second) ** DRAW_SECONDS, Random(rng.random())))

    def heal(self) -> None:
        """Be an honest proxy again."""
        self._order(self._heal())

    async def open(self) -> None:
        """Listen; for the proxy's own thread, like all that follows."""
        loop = asyncio.get_running_loop()
        for port, target in self._routes:
            make = partial(Side, self, target, is_answer=False)
            self._servers.append(await loop.create_server(make, LOOPBACK, port, backlog=512))

    async def close(self) -> None:
        """Break everything and listen no more."""
        self._stop_drawing()
        await self._cut()
        await asyncio.gather(*self._connecting)
        while self._open:
            await asyncio.sleep(0.005)

    def came(self, client: Side) -> None:
        """Take note of a client that has connected, and connect it on."""
        self.connections += 1
        self._open.add(client)
        if self.toxics.blackhole:
            client.hold_both()
        else:
            self._connect_on(client)

    def went(self, client: Side) -> None:
        """Take note of a client that has gone."""
        self._open.discard(client)

    def _connect_on(self, client: Side) -> None:
        task = asyncio.get_running_loop().create_task(client.connect_on(), name=f"{self.name}: connect")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _cut(self) -> None:
        self._is_cut = True
        for server in self._servers:
            server.close()
        self._servers.clear()
        for client in list(self._open):
            self._break(client)

    async def _hold_all(self) -> None:
        self.toxics.blackhole = True
        for client in self._open:
            client.hold_both()

    async def _turn(self, **values: Any) -> None:
        self.toxics = replace(self.toxics, **values)
        self.plain = False

    async def _draw_lots(self, probability: float, chance: Random) -> None:
        self._stop_drawing()
        loop = asyncio.get_running_loop()

        def draw() -> None:
            for client in [client for client in self._open if chance.random() < probability]:
                self._break(client)
            self._drawing = loop.call_later(DRAW_SECONDS, draw)

        draw()

    async def _heal(self) -> None:
        self._stop_drawing()
        self.toxics, self.plain = Toxics(), True
        for client in list(self._open):
            if not client.heal_both():
                self.resets += 1
            elif client.waits:
                self._connect_on(client)
        if self._is_cut:
            await self.open()
            self._is_cut = False

    def _break(self, client: Side) -> None:
        self.resets += 1
        client.reset()

    def _stop_drawing(self) -> None:
        if self._drawing is not None:
            self._drawing.cancel()
            self._drawing = None


class Proxies:
    """The thread that all links live in, so that neither the load nor the proxies hold each other up."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._links: list[Link] = []

    def link(self, name: str, *targets: int) -> Link:
        """Open a link to one or several loopback ports, where nobody need listen yet."""
        link = Link(name, targets, self._do)
        self._do(link.open())
        self._links.append(link)
        return link

    def _do(self, order: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(order, self._loop).result(ORDER_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for link in self._links:
            self._do(link.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
