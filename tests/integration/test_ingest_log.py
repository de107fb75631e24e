"""Ingest against a real Kafka: 202 means that the log has it, also around the broker's absence."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.kafka import LocalKafka
from shared.access import Scopes
from shared.bus.kafka import ensure_topics
from shared.codec import decode_json
from shared.db.access_keys import AccessKeys
from shared.db.session import open_engine
from shared.events.envelope import EventMessage
from shared.events.household_event import SourceClass
from shared.settings import ServiceSettings
from shared.topics import ALL_TOPICS, HOUSEHOLD_EVENTS
from tests.conftest import Platform
from tests.fakes.ingest_edge import JSON_BATCH, STRUCTURED, make_event
from tests.services import ServiceProcess, free_port, until

pytestmark = pytest.mark.integration
ALL = Scopes(division="99", types=("*",), sourceclasses=tuple(SourceClass))


async def new_key(platform: Platform, scopes: Scopes = ALL) -> str:
    settings = ServiceSettings(database_url=platform.database_url, kafka_bootstrap_servers="not needed")
    async with open_engine(settings, "tests") as engine:
        return await AccessKeys(engine).create("test", scopes, actor="test")


class RunningIngest:
    """An ingest process and a client with a key for it."""

    def __init__(self, process: ServiceProcess, client: httpx2.AsyncClient) -> None:
        self.process = process
        self.client = client

    async def post(self, event: dict[str, Any]) -> httpx2.Response:
        return await self.client.post("/v1/events", content=json.dumps(event), headers={"content-type": STRUCTURED})

    async def post_batch(self, events: list[dict[str, Any]]) -> httpx2.Response:
        return await self.client.post(
            "/v1/events/batch", content=json.dumps(events), headers={"content-type": JSON_BATCH}
        )

    async def is_ready(self) -> bool:
        try:
            return (await self.client.get("/readyz")).status_code == 200
        except httpx2.TransportError:
            return False

    async def server_faults(self) -> str:
        samples = (await self.client.get("/metrics")).text
        return next(line for line in samples.splitlines() if line.startswith("shouwang_ingest_http") and "5xx" in line)

    def resident_mib(self) -> float:
        assert self.process.process is not None
        status = Path(f"/proc/{self.process.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@asynccontextmanager
async def running_ingest(platform: Platform, tmp_path: Path, **environment: str) -> AsyncIterator[RunningIngest]:
    port = free_port()
    key = await new_key(platform)
    settings = {**platform.environment, "SHOUWANG_INGEST_PORT": str(port), **environment}
    process = ServiceProcess("ingest", settings, tmp_path / "ingest.log")
    process.start()
    limits = httpx2.Limits(max_connections=400)
    headers = {"authorization": f"Bearer {key}"}
    base = f"http://127.0.0.1:{port}"
    try:
        async with httpx2.AsyncClient(base_url=base, headers=headers, limits=limits, timeout=20) as client:
            running = RunningIngest(process, client)
            await until(running.is_ready)
            yield running
    finally:
        process.end()


async def read_topic(platform: Platform) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    """Read everything that the events topic holds: (partition, offset) -> (key, value)."""
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        topic = platform.topic_prefix + HOUSEHOLD_EVENTS.name
        partitions = [TopicPartition(topic, number) for number in range(HOUSEHOLD_EVENTS.partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found = {}
        while len(found) < sum(ends.values()):
            for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                found |= {(partition.partition, record.offset): (record.key, record.value) for record in records}
        return found
    finally:
        await consumer.stop()


async def test_202_means_that_the_event_can_be_read_back_byte_for_byte(platform: Platform, tmp_path: Path) -> None:
    async with running_ingest(platform, tmp_path) as ingest:
        answer = await ingest.post(make_event(episode="住院-😀"))
        assert answer.status_code == 202
        receipt = answer.json()
        batch = await ingest.post_batch([make_event(id=f"b-{n}", subject=f"H-{n % 40}") for n in range(500)])
        assert batch.status_code == 202
        on_log = await read_topic(platform)
    record_key, value = on_log[receipt["partition"], receipt["offset"]]
    event = EventMessage.model_validate(decode_json(value))
    assert record_key == b"H-1"
    assert event.to_bytes() == value
    assert (event.id, event.episode, event.data) == ("e-1", "住院-😀", make_event()["data"])
    assert event.recordedat is not None and event.keyid is not None
    for row in batch.json()["results"]:
        record_key, value = on_log[row["partition"], row["offset"]]
        assert decode_json(value)["id"] == row["id"]
        assert record_key.decode() == decode_json(value)["subject"]
    assert len(on_log) == 501


async def test_a_households_events_stand_on_the_log_in_the_order_of_their_batch(
    platform: Platform, tmp_path: Path
) -> None:
    # Large and small ones in turn: a large one that does not fit in an open batch must not be overtaken.
    events = [
        make_event(
            id=f"{number:03}",
            subject=f"H-{number % 2}",
            **(
                {"type": "cn.shouwang.survey.visit.v1", "data": {"photo_refs": ["住" * 200] * 20}} if number % 3 else {}
            ),
        )
        for number in range(120)
    ]
    async with running_ingest(platform, tmp_path) as ingest:
        for chunk in range(0, 120, 60):
            answer = await ingest.post_batch(events[chunk : chunk + 60])
            assert answer.status_code == 202
        on_log = await read_topic(platform)
    for household in (b"H-0", b"H-1"):
        order = [decode_json(value)["id"] for _, (key, value) in sorted(on_log.items()) if key == household]
        assert order == sorted(order)
        assert len(order) == 60


async def test_500_events_of_one_household_are_taken_within_the_deadline(platform: Platform, tmp_path: Path) -> None:
    async with running_ingest(platform, tmp_path) as ingest:
        started = time.monotonic()
        answer = await ingest.post_batch([make_event(id=str(number)) for number in range(500)])
        assert answer.status_code == 202
        assert time.monotonic() - started < 2
        offsets = [row["offset"] for row in answer.json()["results"]]
        assert offsets == sorted(offsets)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    with LocalKafka(tmp_path / "own", port=0) as kafka:
        yield kafka


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_without_the_broker_503_in_time_and_with_it_202_again(
    own_kafka: LocalKafka, database_url: str, tmp_path: Path, how: str
) -> None:
    """Broker gone: honest and bounded answers; broker back: the first 202 within 5 s, nothing acknowledged is lost."""
    await ensure_topics(own_kafka.bootstrap_servers, ALL_TOPICS)
    platform = Platform(own_kafka.bootstrap_servers, database_url, "")
    async with running_ingest(platform, tmp_path) as ingest:
        taken = [f"before-{number}" for number in range(20)]
        for event_id in taken:
            assert (await ingest.post(make_event(id=event_id))).status_code == 202
        await asyncio.to_thread(own_kafka.stop if how == "stop" else own_kafka.kill)
        await check_refusals_while_away(ingest)
        if how == "stop":
            await check_memory_is_bounded(ingest)
        await asyncio.to_thread(own_kafka.start)
        taken.append(await first_accepted(ingest, within_seconds=5))
        await until(ingest.is_ready, 5)
        on_log = await read_topic(platform)
    found = {decode_json(value)["id"] for _, value in on_log.values()}
    assert set(taken) <= found


async def check_refusals_while_away(ingest: RunningIngest) -> None:
    for number in range(3):
        started = time.monotonic()
        answer = await ingest.post(make_event(id=f"away-{number}"))
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "2"
        assert answer.json()["type"].endswith("/log-unavailable")
        assert time.monotonic() - started < 2.5
    started = time.monotonic()
    batch = await ingest.post_batch([make_event(id=f"away-b-{n}", subject=f"H-{n}") for n in range(200)])
    assert (batch.status_code, batch.headers["retry-after"]) == (503, "2")
    assert time.monotonic() - started < 2.5
    assert not await ingest.is_ready()
    assert (await ingest.client.get("/livez")).status_code == 200


async def check_memory_is_bounded(ingest: RunningIngest) -> None:
    sizes = [ingest.resident_mib()]
    for _ in range(5):
        await flood(ingest)
        sizes.append(ingest.resident_mib())
    print("resident MiB, before and after each flood:", [round(size) for size in sizes])
    assert sizes[-1] - sizes[0] < 150
    # The allocator keeps what the first floods needed at most; after that nothing is added.
    assert sizes[-1] - sizes[-3] < 20


async def flood(ingest: RunningIngest) -> None:
    """Send more at once than the process may keep: 40 MiB."""
    large = [
        make_event(
            id=f"f-{n}", subject=f"H-{n}", type="cn.shouwang.survey.visit.v1", data={"photo_refs": ["x" * 200] * 20}
        )
        for n in range(200)
    ]
    body = json.dumps(large).encode()
    assert 800_000 < len(body) < 1_048_576

    async def send() -> int:
        answer = await ingest.client.post("/v1/events/batch", content=body, headers={"content-type": JSON_BATCH})
        return answer.status_code

    statuses = await asyncio.gather(*(send() for _ in range(45)))
    assert set(statuses) <= {503, 429}


async def first_accepted(ingest: RunningIngest, *, within_seconds: float) -> str:
    deadline = time.monotonic() + within_seconds
    number = 0
    while time.monotonic() < deadline:
        number += 1
        answer = await ingest.post(make_event(id=f"after-{number}", subject="H-after"))
        if answer.status_code == 202:
            return f"after-{number}"
        assert answer.status_code == 503
    raise AssertionError(f"no 202 within {within_seconds} s of the broker's return")


def all_threads_stopped(pid: int) -> bool:
    """Whether the kernel has stopped every thread of a process (state T)."""
    try:
        stats = [stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    except FileNotFoundError:  # a thread that ended meanwhile: it was not stopped
        return False
    return {stat.rpartition(")")[2].split()[0] for stat in stats} == {"T"}


async def test_a_frozen_broker_is_answered_503_and_not_waited_for(
    own_kafka: LocalKafka, database_url: str, tmp_path: Path
) -> None:
    await ensure_topics(own_kafka.bootstrap_servers, ALL_TOPICS)
    platform = Platform(own_kafka.bootstrap_servers, database_url, "")
    async with running_ingest(platform, tmp_path) as ingest:
        assert (await ingest.post(make_event())).status_code == 202
        os.kill(own_kafka.pid, signal.SIGSTOP)
        try:
            # On a busy machine some of its threads run on for a while, and acknowledge.
            await until(lambda: asyncio.to_thread(all_threads_stopped, own_kafka.pid))
            started = time.monotonic()
            answer = await ingest.post(make_event(id="frozen"))
            assert answer.status_code == 503
            assert time.monotonic() - started < 2.5
        finally:
            os.kill(own_kafka.pid, signal.SIGCONT)
        await first_accepted(ingest, within_seconds=5)


async def test_a_stop_answers_what_is_under_way_and_loses_nothing(platform: Platform, tmp_path: Path) -> None:
    async with running_ingest(platform, tmp_path) as ingest:
        accepted: set[str] = set()
        others: set[int] = set()
        stopping = asyncio.Event()

        async def send(lane: int) -> None:
            number = 0
            while True:
                number += 1
                event_id = f"{lane}-{number}"
                try:
                    answer = await ingest.post(make_event(id=event_id, subject=f"H-{lane}"))
                except httpx2.TransportError:
                    assert stopping.is_set(), "connection lost before the stop"
                    return
                if answer.status_code == 202:
                    accepted.add(event_id)
                else:
                    others.add(answer.status_code)

        lanes = [asyncio.create_task(send(lane)) for lane in range(20)]
        await asyncio.sleep(1)
        stopping.set()
        status = await asyncio.to_thread(ingest.process.stop)
        await asyncio.gather(*lanes)
        assert status == 0
        assert others == set()
        on_log = {decode_json(value)["id"] for _, value in (await read_topic(platform)).values()}
        assert len(accepted) > 50
        assert accepted <= on_log


async def test_nonsense_below_the_level_of_http_is_never_a_fault_of_ours(platform: Platform, tmp_path: Path) -> None:
    async with running_ingest(platform, tmp_path, SHOUWANG_INGEST_BODY_TIMEOUT_SECONDS="1") as ingest:
        host, port = "127.0.0.1", int(ingest.client.base_url.port or 0)
        before = await ingest.server_faults()
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: {STRUCTURED}\r\n"
        head += f"Authorization: {ingest.client.headers['authorization']}\r\n"
        for request in (
            head + "Content-Length: -1\r\n\r\n",
            head + "Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
            head + "Content-Length: x\r\n\r\n",
            head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            head + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
            head + "Transfer-Encoding: gzip\r\n\r\n",
            head + "X: " + "y" * 65_536 + "\r\nContent-Length: 2\r\n\r\n{}",
            head + "".join(f"X-{n}: y\r\n" for n in range(1_000)) + "Content-Length: 2\r\n\r\n{}",
            head + "Content-Length: 100\r\n\r\n{",
            "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /v1/events HTTP/9.9\r\n\r\n",
            "\x00\x01\x02\r\n\r\n",
        ):
            answer = await raw_answer(host, port, request.encode())
            assert not answer.startswith(b"HTTP/1.1 5"), (request[-80:], answer[:200])
            assert not answer.startswith(b"HTTP/1.1 2"), (request[-80:], answer[:200])
        slow = await raw_answer(host, port, (head + "Content-Length: 100\r\n\r\n{").encode(), to_the_end=True)
        assert slow.startswith(b"HTTP/1.1 408")
        assert b"too-slow" in slow
        assert await ingest.is_ready()
        assert await ingest.server_faults() == before


async def raw_answer(host: str, port: int, request: bytes, *, to_the_end: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    try:
        await writer.drain()
        async with asyncio.timeout(4):
            return await reader.read(-1 if to_the_end else 4_096)
    except (TimeoutError, ConnectionError):
        return b""
    finally:
        writer.close()
