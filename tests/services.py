"""Services started for a test: in this process with a clock of the test's, or as processes that can be killed."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.settings import ScorerSettings
from services.scorer.wiring import scorer
from shared.bus.kafka import KafkaPublisher
from shared.clock import Clock
from shared.db.session import transaction
from shared.errors import TemporaryFailure
from shared.events.envelope import EventMessage
from shared.topics import HOUSEHOLD_EVENTS
from tests.conftest import Platform


@asynccontextmanager
async def log_publisher(platform: Platform) -> AsyncIterator[KafkaPublisher]:
    """A publisher connected to the test's topics."""
    publisher, stop = KafkaPublisher(platform.kafka, "tests", topic_prefix=platform.topic_prefix), asyncio.Event()
    running = asyncio.create_task(publisher.run(stop))
    await until(lambda: answers(publisher.check), 20)
    try:
        yield publisher
    finally:
        stop.set()
        await running


async def put_on_log(publisher: KafkaPublisher, messages: Sequence[EventMessage]) -> None:
    """Put events on the log as ingest does, those of one household in order."""

    async def lane(ours: Sequence[EventMessage]) -> None:
        for message in ours:
            await publisher.publish(HOUSEHOLD_EVENTS, message.subject, message.to_bytes(), within_seconds=20)

    lanes: dict[str, list[EventMessage]] = {}
    for message in messages:
        lanes.setdefault(message.subject, []).append(message)
    await asyncio.gather(*(lane(ours) for ours in lanes.values()))


@asynccontextmanager
async def running_scorer(
    platform: Platform, clock: Clock, *, midnight_grace_seconds: float = 0
) -> AsyncIterator[CollectorRegistry]:
    """A scorer in this process: its real tasks, without its HTTP server."""
    settings = ScorerSettings(
        database_url=SecretStr(platform.database_url),
        kafka_bootstrap_servers=platform.kafka,
        kafka_topic_prefix=platform.topic_prefix,
        midnight_grace_seconds=midnight_grace_seconds,
    )
    registry, stop = CollectorRegistry(), asyncio.Event()
    async with scorer(settings, registry, clock) as parts:
        tasks = [asyncio.create_task(work(stop), name=name) for name, work in parts.tasks.items()]
        try:
            yield registry
        finally:
            stop.set()
            await asyncio.gather(*tasks)


async def rows(engine: AsyncEngine, statement: str, **values: Any) -> list[Any]:
    """Return the rows of a query."""
    async with transaction(engine) as connection:
        return list((await connection.execute(text(statement), values)).all())


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Wait for a condition; fail loudly when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.03)


async def answers(check: Callable[[], Awaitable[None]]) -> bool:
    """Tell whether a check passes now."""
    try:
        await check()
    except TemporaryFailure:
        return False
    return True


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class ServiceProcess:
    """A service as a process of its own, with its log in a file."""

    name: str
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it need not be ready when this returns."""
        program = Path(sys.executable).with_name(f"shouwang-{self.name}")
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(program), "serve"],
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 20.0) -> int:
        """Ask it to end with SIGTERM and return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def end(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.stop(5)
            if self.process.poll() is None:
                self.kill()

    def said(self) -> str:
        """Return its log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def wait_port(port: int, seconds: float = 20.0) -> None:
    """Wait until something listens on a port of the loopback address."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")
