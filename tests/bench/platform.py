"""One Kafka broker and one durable PostgreSQL for a whole run, and what a measurement gets of them: a place of its own.

Durable: fsync and synchronous_commit are on, as in the house. Nothing is kept from one run to the next.
"""

import os
import shutil
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from deploy.local.kafka import LocalKafka
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import LocalPostgres
from deploy.local.programs import service_command
from deploy.local.run_lock import RunLock
from deploy.local.server import LocalServer
from deploy.local.supervisor import in_thread
from shared.bus.kafka import ensure_topics
from shared.db.migrate import migrate
from shared.settings import asyncpg_url
from shared.topics import ALL_TOPICS
from tests.bench.databases import Databases
from tests.bench.processes import Program, program

POSTGRES_SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min"}
# Kafka's own default, which the local platform shortens: members that start together then join together.
KAFKA_SETTINGS = {"group.initial.rebalance.delay.ms": "3000"}
HEAP_MEGABYTES = 512
Server = TypeVar("Server", bound=LocalServer)


class LogElsewhere(RuntimeError):
    """The broker was started by somebody else, so its files cannot be looked at."""


@dataclass(frozen=True, slots=True)
class Place:
    """A database and topics of a measurement's own.

    database: the name of it, for `databases.connection`. settings: further environment of the services there.
    """

    kafka: str
    database: str
    database_url: str
    topic_prefix: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a service needs to know to work here."""
        no_proxy = f"{os.environ.get('NO_PROXY', '')},{LOOPBACK},localhost".lstrip(",")
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "KAFKA_TOPIC_PREFIX": self.topic_prefix,
            "DATABASE_URL": self.database_url,
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
            **self.settings,
        }


class BenchPlatform:
    """The servers of a run. schema: name of a migrated, empty database to copy; scratch: folder for a run's files."""

    def __init__(self, kafka: str, databases: Databases, schema: str, directory: Path, scratch: Path) -> None:
        self.kafka = kafka
        self.databases = databases
        self.schema = schema
        self.scratch = scratch
        self._directory = directory

    async def topics(self) -> str:
        """Make all topics under a new prefix; the prefix."""
        prefix = f"b{uuid.uuid4().hex[:10]}."
        await ensure_topics(self.kafka, ALL_TOPICS, topic_prefix=prefix)
        return prefix

    def bytes_on_log(self, topic: str) -> int:
        """How much the broker's files hold of a topic, without indexes. Raises LogElsewhere."""
        segments = list(self._directory.glob(f"servers/kafka/data/{topic}-*/*.log"))
        if not segments:
            raise LogElsewhere("the broker's files are not here; leave KAFKA_BOOTSTRAP_SERVERS unset")
        return sum(segment.stat().st_size for segment in segments)

    @asynccontextmanager
    async def place(self, *, template: str | None = None, topic_prefix: str | None = None) -> AsyncIterator[Place]:
        """A fresh database for a block, gone after it.

        template: a database to copy, by default the empty schema. topic_prefix: of topics that are there already.
        """
        prefix = topic_prefix or await self.topics()
        async with self.databases.copy_of(template or self.schema) as name:
            yield Place(self.kafka, name, asyncpg_url(self.databases.dsn_of(name)), prefix)

    @asynccontextmanager
    async def service(
        self,
        kind: str,
        place: Place,
        *,
        name: str | None = None,
        argv: Sequence[str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Program]:
        """Run `shouwang-<kind> serve` for a block; it need not be ready when that begins: `wait_ready`.

        name: where several run. argv: another program in its place. settings: further environment.
        """
        port = free_port(0)
        environment = {
            **place.environment,
            f"SHOUWANG_{kind.upper()}_HOST": LOOPBACK,
            f"SHOUWANG_{kind.upper()}_PORT": str(port),
            **(settings or {}),
        }
        url = f"http://{LOOPBACK}:{port}"
        command = argv or service_command(kind, "serve")
        async with program(name or kind, command, environment, self._directory, url) as running:
            yield running

    @asynccontextmanager
    async def command(
        self,
        name: str,
        argv: Sequence[str],
        place: Place | None = None,
        settings: Mapping[str, str] | None = None,
        *,
        base_url: str = "",
    ) -> AsyncIterator[Program]:
        """Run any other program for a block, at a place if it needs one. base_url: of its HTTP side, if it has one."""
        environment = {**(place.environment if place else {}), **(settings or {})}
        async with program(name, argv, environment, self._directory, base_url) as running:
            yield running


@asynccontextmanager
async def open_platform(directory: Path) -> AsyncIterator[BenchPlatform]:
    """Start the servers, or use those that KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL name; end and remove them after.

    Raises AlreadyRunning while another run uses the directory.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(RunLock(directory))
        servers, scratch = directory / "servers", directory / "scratch"
        for folder in (servers, scratch):
            shutil.rmtree(folder, ignore_errors=True)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        shutil.rmtree(directory / "logs", ignore_errors=True)
        scratch.mkdir(parents=True)
        kafka = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        dsn = os.environ.get("DATABASE_URL")
        if not kafka:
            broker = LocalKafka(servers, port=0, heap_megabytes=HEAP_MEGABYTES, settings=KAFKA_SETTINGS)
            kafka = (await _started(broker, stack)).bootstrap_servers
        if not dsn:
            dsn = (await _started(LocalPostgres(servers, port=0, settings=POSTGRES_SETTINGS), stack)).dsn
        databases = Databases(dsn)
        schema = await stack.enter_async_context(databases.copy_of())
        await in_thread(lambda: migrate(databases.dsn_of(schema)))
        yield BenchPlatform(kafka, databases, schema, directory, scratch)


async def _started(server: Server, stack: AsyncExitStack) -> Server:
    stack.callback(server.stop)
    await in_thread(server.start)
    return server
