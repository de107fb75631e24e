"""Three brokers and a durable PostgreSQL, with every address that a service or another broker uses behind a proxy."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from deploy.local.kafka import LocalKafka
from deploy.local.kafka_cluster import ClusterNode, Listener, new_cluster_id
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import LocalPostgres
from tests.chaos.proxy import FIRST_PORT, Link, Proxies
from tests.chaos.reaper import reap, reaper
from tests.chaos.servers import Broker, Postgres, Server

NODE_IDS = (1, 2, 3)
KINDS = ("ingest", "scorer", "notifier")
HEAP_MEGABYTES = 256
OPEN_SECONDS = 90.0


class PeoplePorts(NamedTuple):
    """Where the people's mail server and webhook receivers listen."""

    smtp: int
    webhook: int
    webhook_tls: int


@dataclass(frozen=True, slots=True)
class Links:
    """All proxies: one for each kind of client and server.

    kafka: ["ingest" | "scorer" | "notifier"][node_id]. brokers: [node_id] = what the brokers send to this one, as
    brokers (ports[0]) and as controllers (ports[1]). database: ["ingest" | "scorer" | "notifier"]. smtp, webhook: to
    people; webhook.ports[1] leads to the receivers over TLS.
    """

    kafka: Mapping[str, Mapping[int, Link]]
    brokers: Mapping[int, Link]
    database: Mapping[str, Link]
    smtp: Link
    webhook: Link

    def all(self) -> Iterator[Link]:
        """Every link."""
        for links in self.kafka.values():
            yield from links.values()
        yield from self.brokers.values()
        yield from self.database.values()
        yield self.smtp
        yield self.webhook

    def of(self, client: str) -> list[Link]:
        """Every link of one kind of service ("ingest", "scorer", "notifier"): to the brokers and to the database."""
        return [*self.kafka[client].values(), self.database[client]]


@dataclass(frozen=True, slots=True)
class Platform:
    """The servers and the links between them and everybody else."""

    brokers: Sequence[Broker]
    postgres: Postgres
    links: Links

    @property
    def servers(self) -> Sequence[Server]:
        """Brokers and database."""
        return [*self.brokers, self.postgres]

    @property
    def bootstrap_direct(self) -> str:
        """The brokers' direct addresses, past all proxies."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def bootstrap_of(self, kind: str) -> str:
        """The brokers' addresses as one kind of service knows them."""
        return ",".join(f"{LOOPBACK}:{link.port}" for link in self.links.kafka[kind].values())

    def dsn_of(self, kind: str, database: str) -> str:
        """A database's address as one kind of service knows it."""
        parts = urlsplit(self.postgres.dsn_of(database))
        login = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{login}@{LOOPBACK}:{self.links.database[kind].port}").geturl()


@asynccontextmanager
async def open_platform(directory: Path, people: PeoplePorts) -> AsyncIterator[Platform]:
    """Start everything at once and yield it when it is ready; on leaving, and if we are killed, nothing remains."""
    async with AsyncExitStack() as stack:
        stack.enter_context(reaper(directory))
        proxies = stack.enter_context(Proxies())
        postgres = LocalPostgres(directory / "database", free_port(FIRST_PORT))
        with ThreadPoolExecutor(1 + len(NODE_IDS)) as threads:
            loop = asyncio.get_running_loop()
            stack.callback(postgres.kill)
            starting: list[Awaitable[object]] = [loop.run_in_executor(threads, postgres.start)]
            brokers, links = _brokers(directory, proxies)
            for broker in brokers:
                stack.callback(broker.kill)
                starting.append(loop.run_in_executor(threads, broker.start))
            await asyncio.gather(*starting)
        database_port = urlsplit(postgres.dsn).port or 0
        platform = Platform(
            brokers,
            Postgres(postgres),
            Links(
                kafka={kind: {node: links[kind, node] for node in NODE_IDS} for kind in KINDS},
                brokers={node: links["brokers", node] for node in NODE_IDS},
                database={kind: proxies.link(f"{kind} to the database", database_port) for kind in KINDS},
                smtp=proxies.link("notifier to the mail server", people.smtp),
                webhook=proxies.link("notifier to webhooks", people.webhook, people.webhook_tls),
            ),
        )
        await asyncio.gather(*(server.wait_ready(OPEN_SECONDS) for server in platform.servers))
        yield platform


def clear(directory: Path) -> None:
    """End what another run left behind in a directory, and remove its servers' files and all logs."""
    reap(directory)
    for folder in ("logs", "marks", "database", *(f"broker-{node}" for node in NODE_IDS)):
        shutil.rmtree(directory / folder, ignore_errors=True)


def _brokers(directory: Path, proxies: Proxies) -> tuple[list[Broker], dict[tuple[str, int], Link]]:
    """The three brokers, not started, and the links to each, by who uses them."""
    cluster_id, links = new_cluster_id(), {}
    between = {node: (free_port(FIRST_PORT), free_port(FIRST_PORT)) for node in NODE_IDS}
    for node, (broker_port, controller_port) in between.items():
        links["brokers", node] = proxies.link(f"brokers to broker {node}", broker_port, controller_port)
    voters = {node: links["brokers", node].ports[1] for node in NODE_IDS}
    brokers = []
    for node, (broker_port, controller_port) in between.items():
        direct = free_port(FIRST_PORT)
        clients = [Listener("DIRECT", direct, direct)]
        for kind in KINDS:
            port = free_port(FIRST_PORT)
            links[kind, node] = proxies.link(f"{kind} to broker {node}", port)
            clients.append(Listener(kind.upper(), port, links[kind, node].port))
        place = ClusterNode(
            node_id=node,
            cluster_id=cluster_id,
            clients=clients,
            brokers=Listener("BROKER", broker_port, links["brokers", node].port),
            controller_port=controller_port,
            voters=voters,
        )
        brokers.append(
            Broker(node, LocalKafka(directory / f"broker-{node}", heap_megabytes=HEAP_MEGABYTES, node=place))
        )
    return brokers, links


__all__ = ["Broker", "Link", "Links", "Platform", "Postgres", "Server", "open_platform"]
