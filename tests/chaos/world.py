"""All the handles of one chaos campaign.

    async with World.open(directory) as world:
        await world.renew()
        world.brokers[0].kill()
        await world.heal()

By hand: `python -m tests.chaos.world` opens a world, prints its addresses and waits for Ctrl-C.

In each database of a world a trigger keeps the table `chaos_position_log`, one row for every committed write of
partition_position: position_log_id (order of writes), consumer_group, topic, partition, epoch, next_offset, owner,
written_at (clock_timestamp), txid.
"""

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx2
import uvloop
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.local.places import REPOSITORY
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.run_lock import RunLock
from shared.bus.kafka import ensure_topics
from shared.topics import ALL_TOPICS
from tests.chaos.base import RunName
from tests.chaos.cluster import Cluster, open_cluster
from tests.chaos.database import Database, forget_database, fresh_database, make_template
from tests.chaos.devices import Devices
from tests.chaos.drain import NotDrained, drained
from tests.chaos.journal import Journal
from tests.chaos.platform import Broker, Links, PeoplePorts, Platform, Postgres, Server, clear, open_platform
from tests.chaos.proxy import FIRST_PORT
from tests.chaos.service_settings import NAMES, service_settings, write_policies
from tests.chaos.services import Service, keep

if TYPE_CHECKING:
    from tests.chaos.workload import Workload

IN_SYNC_EVERY_SECONDS = 0.3


class World:
    """Handles of the platform, the services, the people's devices and the load. Open one with `World.open`."""

    brokers: Sequence[Broker]
    postgres: Postgres
    links: Links
    services: Mapping[str, Service]
    devices: Devices
    nemesis: Journal
    run: RunName
    """The run that is on; set by the campaign."""
    topic_prefix: str
    api_key: str
    bootstrap_direct: str

    def __init__(
        self,
        directory: Path,
        platform: Platform,
        cluster: Cluster,
        services: Sequence[Service],
        devices: Devices,
        nemesis: Journal,
    ) -> None:
        self.directory = directory
        self.brokers, self.postgres, self.links = platform.brokers, platform.postgres, platform.links
        self.bootstrap_direct = platform.bootstrap_direct
        self.services = {service.name: service for service in services}
        self.devices, self.nemesis = devices, nemesis
        self.run = RunName("none")
        self.topic_prefix = self.api_key = ""
        self._platform = platform
        self._cluster = cluster
        self._database: Database | None = None
        self._load: Workload | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path) -> AsyncIterator[Self]:
        """Start brokers, PostgreSQL, proxies and devices once; everything ends with the block, or with us.

        directory: for files, logs and journals, for one world at a time (else AlreadyRunning). The servers begin with
        nothing; journals that are there are continued.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(RunLock(directory))
            await asyncio.to_thread(clear, directory)
            nemesis = stack.enter_context(Journal(directory / "nemesis.jsonl"))
            devices = Devices(directory, stack.enter_context(Journal(directory / "devices.jsonl")))
            stack.enter_context(devices)
            people = PeoplePorts(devices.smtp_port, devices.webhook_port, devices.webhook_tls_port)
            platform = await stack.enter_async_context(open_platform(directory, people))
            await make_template(directory, platform.postgres, f"http://{LOOPBACK}:{platform.links.webhook.port}")
            cluster = await stack.enter_async_context(open_cluster(platform.bootstrap_direct))
            http = httpx2.AsyncClient(trust_env=False, timeout=5.0)
            await stack.enter_async_context(http)
            services = [Service(name, kind, free_port(FIRST_PORT), directory, http) for name, kind in NAMES.items()]
            await stack.enter_async_context(_kept(services))
            world = cls(directory, platform, cluster, services, devices, nemesis)
            stack.push_async_callback(world._close_database)
            yield world

    @property
    def load(self) -> "Workload":
        """The load of the run that is on; raises RuntimeError when there is none."""
        if self._load is None:
            raise RuntimeError("no load is on")
        return self._load

    @load.setter
    def load(self, load: "Workload | None") -> None:
        self._load = load

    async def renew(self) -> None:
        """Begin anew: fresh topics, database, API key and services, all ready."""
        await asyncio.gather(*(service.end(at_once=True) for service in self.services.values()))
        await self._heal_platform()
        old_database, old_prefix = self.postgres.database, self.topic_prefix
        name = f"w{secrets.token_hex(4)}"
        await self._close_database()
        self._database = await fresh_database(self.postgres, f"chaos_{name}")
        self.postgres.database, self.topic_prefix = f"chaos_{name}", f"{name}."
        await ensure_topics(self.bootstrap_direct, ALL_TOPICS, topic_prefix=self.topic_prefix)
        self.api_key = await self._database.new_key()
        for service in self.services.values():
            settings = service_settings(
                self._platform,
                service.kind,
                self.postgres.database,
                self.topic_prefix,
                self.devices.ca_file,
                write_policies(self.directory),
            )
            service.begin_anew(name, settings)
        await self.wait_ready()
        if old_prefix:
            await self._cluster.forget_topics(old_prefix)
            await forget_database(self.postgres, old_database)

    async def heal(self) -> None:
        """Undo every fault: links, frozen processes, stopped servers, services held down or with hooks; wait ready."""
        await self._heal_platform()
        for service in self.services.values():
            service.resume()
        await asyncio.gather(*(service.restart() for service in self.services.values() if service.altered))
        await self.wait_ready()

    async def wait_ready(self, seconds: float = 60.0) -> None:
        """Wait until all servers and services are ready and every replica is in sync; raises TimeoutError."""
        until = time.monotonic() + seconds
        servers = [server.wait_ready(seconds) for server in self._platform.servers]
        await asyncio.gather(*servers, *(service.wait_ready(seconds) for service in self.services.values()))
        while missing := await self._cluster.out_of_sync():
            if time.monotonic() > until:
                raise TimeoutError(f"replicas are not in sync after {seconds:.0f} s: {'; '.join(missing[:5])}")
            await asyncio.sleep(IN_SYNC_EVERY_SECONDS)

    async def leader_of(self, topic: str, partition: int) -> Broker:
        """The broker that leads a partition; `topic` is the name without the world's prefix."""
        return self._broker(await self._cluster.leader_of(self._prefixed(topic), partition))

    async def controller(self) -> Broker:
        """The broker that is the active controller."""
        return self._broker(await self._cluster.controller())

    async def group_coordinator(self, group: str) -> Broker:
        """The broker that coordinates a consumer group, named without the prefix ("shouwang-scorer")."""
        return self._broker(await self._cluster.coordinator_of(self._prefixed(group)))

    def hold_down(self, name: str) -> None:
        """Kill a service and keep it down until its `restart` or until `heal`."""
        self.services[name].hold_down()

    async def sql(self, statement: str, **values: Any) -> list[Row[Any]]:
        """Run one statement (`:name` for values) directly, as superuser, each by itself; its rows, if any."""
        return await self._present_database().sql(statement, values)

    def transaction(self) -> "contextlib.AbstractAsyncContextManager[AsyncConnection]":
        """A direct connection in a transaction, for what must be held a while (locks)."""
        return self._present_database().transaction()

    async def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
    ) -> tuple[int, int]:
        """Put a raw record on a topic (named without prefix), past ingest and proxies; (partition, offset)."""
        return await self._cluster.produce(self._prefixed(topic), key, value, partition, headers)

    async def produce_all(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> int:
        """Put many records (key, value) there, as fast as the brokers take them; how many those were."""
        return await self._cluster.produce_all(self._prefixed(topic), records)

    async def end_offsets(self, topic: str) -> dict[int, int]:
        """Log end by partition of a topic (named without prefix)."""
        return await self._cluster.end_offsets(self._prefixed(topic))

    def note(self, kind: str, **facts: Any) -> None:
        """Write a line into the nemesis journal, with the run that is on."""
        self.nemesis.write(kind=kind, run=self.run, **facts)

    async def _heal_platform(self) -> None:
        for link in self.links.all():
            link.heal()
        self.devices.heal()
        await asyncio.gather(*(_revive(server) for server in self._platform.servers))

    async def _close_database(self) -> None:
        if self._database is not None:
            await self._database.close()
            self._database = None

    def _present_database(self) -> Database:
        if self._database is None:
            raise RuntimeError("the world has no database before its first renew()")
        return self._database

    def _broker(self, node_id: int) -> Broker:
        return next(broker for broker in self.brokers if broker.node_id == node_id)

    def _prefixed(self, name: str) -> str:
        return name if name.startswith(self.topic_prefix) else self.topic_prefix + name


async def _revive(server: Server) -> None:
    """Thaw a server, or start it if it ended."""
    server.resume()
    if server.stopping:
        await server.wait_stopped()
    server.start()
    await server.wait_ready()


@asynccontextmanager
async def _kept(services: Sequence[Service]) -> AsyncIterator[None]:
    """Keep services alive for the length of a block, and end them with it."""
    keeper = asyncio.create_task(keep(services), name="keeper of the services")
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.gather(*(service.end(at_once=True) for service in services))
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def _by_hand(directory: Path) -> None:
    started = time.monotonic()
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)  # as SIGINT does already
    async with World.open(directory) as world:
        print(f"open after {time.monotonic() - started:.1f} s", flush=True)
        await world.renew()
        print(f"renewed after {time.monotonic() - started:.1f} s\n", flush=True)
        for name, service in world.services.items():
            print(f"  {name:<12} {service.base_url}  pid {service.pid}")
        for broker in world.brokers:
            print(f"  {broker.name:<12} {broker.bootstrap}  pid {broker.pid}  (topics {world.topic_prefix}...)")
        print(f"  postgres     {world.postgres.dsn}  pid {world.postgres.pid}")
        print(f"  API key      {world.api_key}")
        print(f"  files        {directory}\n\nCtrl-C ends it all.", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        uvloop.run(_by_hand(REPOSITORY / ".local" / "chaos" / "by-hand"))

__all__ = ["NotDrained", "World", "drained"]
