"""Readiness is a real round trip: a record written and read back, a query answered, an HTTP 200.

The one file of deploy/ that speaks the Kafka protocol.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

PROBE_TOPIC = "shouwang.probe"
PROBE = TopicPartition(PROBE_TOPIC, 0)
# While a broker boots, aiokafka logs every refused connection; without any logging set up that lands on stderr.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())
# Loopback only: a proxy named in the environment must not be asked for 127.0.0.1.
_HTTP = build_opener(ProxyHandler({}))


class NotReady(RuntimeError):
    """A server did not come up within its time; the text says what was last seen."""


async def kafka_round_trip(bootstrap_servers: str) -> None:
    """Write one record with acks=all to a private topic, read it back, and store its offset for a group.

    The last step asks the group coordinator, which is "not available" for some seconds after a first start.
    Raises KafkaError or OSError while the broker cannot do all of it.
    """
    await _port_open(bootstrap_servers)
    await _create_probe_topic(bootstrap_servers)
    token = uuid4().bytes
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", request_timeout_ms=4000) as producer:
        written = await producer.send_and_wait(PROBE_TOPIC, token)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, group_id=PROBE_TOPIC, enable_auto_commit=False, request_timeout_ms=4000
    )
    consumer.assign([PROBE])
    async with consumer:
        consumer.seek(PROBE, written.offset)
        record = await consumer.getone(PROBE)
        if record.value != token:
            raise KafkaError("the probe topic gave back another record than the one just written")
        await consumer.commit({PROBE: record.offset + 1})


async def kafka_node_takes_part(bootstrap_server: str, node_id: int) -> None:
    """Ask one node of a cluster who its brokers are; raises KafkaError or OSError unless it is one of them itself.

    A node that is starting, or cut off from the controllers, is left out of that list.
    """
    await _port_open(bootstrap_server)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_server, request_timeout_ms=4000)
    try:
        await admin.start()
        brokers = {broker["node_id"] for broker in (await admin.describe_cluster())["brokers"]}
    finally:
        await admin.close()
    if node_id not in brokers:
        raise NotReady(f"node {node_id} is not one of the cluster's brokers: {sorted(brokers)}")


async def _port_open(bootstrap_servers: str) -> None:
    """Fail fast and quietly while nobody listens on the first address yet."""
    host, _, port = bootstrap_servers.split(",")[0].rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    await writer.wait_closed()


async def _create_probe_topic(bootstrap_servers: str) -> None:
    """Make the private topic unless it is there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=4000)
    await admin.start()
    try:
        topic = NewTopic(PROBE_TOPIC, num_partitions=1, replication_factor=1, topic_configs={"retention.ms": "3600000"})
        answer = await admin.create_topics([topic])
        for _, code, *_ in answer.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(f"creating {PROBE_TOPIC}")
    finally:
        await admin.close()


async def postgres_answers(dsn: str) -> None:
    """Ask SELECT 1; raises OSError or asyncpg's errors while the server does not answer it."""
    connection = await asyncpg.connect(dsn, timeout=4, ssl=False)
    try:
        if await connection.fetchval("SELECT 1") != 1:
            raise NotReady("SELECT 1 was not answered with 1")
    finally:
        await connection.close()


async def smtp_ready(host: str, port: int) -> None:
    """Be greeted by a mail server and say goodbye; raises OSError or NotReady."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"QUIT\r\n")
        await writer.drain()
        greeting, goodbye = await reader.readline(), await reader.readline()
        if not (greeting.startswith(b"220") and goodbye.startswith(b"221")):
            raise NotReady(f"no mail server: {greeting!r}")
    finally:
        writer.close()
        await writer.wait_closed()


async def http_ready(url: str) -> None:
    """Ask for a page; raises OSError unless the answer is 200 (urllib's errors are OSErrors)."""
    await asyncio.to_thread(_get, url)


def _get(url: str) -> None:
    try:
        with _HTTP.open(url, timeout=4):
            return
    except HTTPError as error:
        with error:
            answer = error.read(300).decode("utf-8", "replace")
        raise URLError(f"HTTP {error.code} {answer}") from None


async def wait_until(probe: Callable[[], Awaitable[None]], *, seconds: float, still_alive: Callable[[], bool]) -> None:
    """Repeat a probe until it succeeds.

    seconds: how long to go on. still_alive: False ends the wait at once (the server died).
    Raises NotReady with the last error seen.
    """
    deadline = time.monotonic() + seconds
    last: BaseException | None = None
    while time.monotonic() < deadline:
        if not still_alive():
            raise NotReady("it ended before it was ready")
        try:
            async with asyncio.timeout(10):
                return await probe()
        except (OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError, NotReady) as error:
            last = error
        await asyncio.sleep(0.1)
    raise NotReady(f"not ready after {seconds:.0f} s; last seen: {type(last).__name__}: {last}") from last


def run_blocking(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine to its end from ordinary code, also where the caller's thread has a running loop."""
    failure: list[BaseException] = []

    def body() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:  # handed to the caller below
            failure.append(error)

    thread = threading.Thread(target=body, name="readiness")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
