import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.local.kafka import LocalKafka
from deploy.local.kafka_cluster import ClusterNode, Listener, new_cluster_id
from deploy.local.ports import LOOPBACK, free_port
from shared.bus.kafka import ensure_topics
from shared.topics import Topic
from tests.chaos.proxy import Link, Proxies

NODE_IDS = (1, 2, 3)
TOPIC = Topic("kept", "nothing", partitions=1, retention_days=1)
LOG = TopicPartition(TOPIC.name, 0)


def nodes(directory: Path, proxies: Proxies) -> tuple[list[LocalKafka], list[Link]]:
    """Three nodes whose second listener tells clients to come through a proxy."""
    cluster_id, brokers = new_cluster_id(), []
    voters = {node_id: free_port(0) for node_id in NODE_IDS}
    links = []
    for node_id, controller_port in voters.items():
        direct, proxied, between = (free_port(0) for _ in range(3))
        links.append(proxies.link(f"node {node_id}", proxied))
        place = ClusterNode(
            node_id=node_id,
            cluster_id=cluster_id,
            clients=[Listener("DIRECT", direct, direct), Listener("PROXIED", proxied, links[-1].port)],
            brokers=Listener("BROKER", between, between),
            controller_port=controller_port,
            voters=voters,
        )
        brokers.append(LocalKafka(directory / str(node_id), heap_megabytes=192, node=place))
    return brokers, links


async def write(bootstrap_servers: str, values: Sequence[bytes], *, seconds: float) -> None:
    """Have every value acknowledged within the time, or raise KafkaError or TimeoutError."""
    async with (
        AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers, acks="all", request_timeout_ms=int(seconds * 1000)
        ) as log,
        asyncio.timeout(seconds),
    ):
        for value in values:
            await log.send_and_wait(TOPIC.name, value)


async def read_all(bootstrap_servers: str) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    consumer.assign([LOG])
    async with consumer:
        end = (await consumer.end_offsets([LOG]))[LOG]
        return [(await consumer.getone()).value for _ in range(end)]


@pytest.mark.integration
async def test_a_cluster_keeps_what_it_acknowledged_when_a_node_dies_and_takes_nothing_when_two_have(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        brokers, links = nodes(tmp_path, stack.enter_context(Proxies()))
        for broker in brokers:
            stack.callback(broker.kill)
            broker.launch()
        await asyncio.gather(*(broker.wait_ready() for broker in brokers))
        through_proxies = ",".join(f"{LOOPBACK}:{link.port}" for link in links)
        await ensure_topics(",".join(broker.bootstrap_servers for broker in brokers), [TOPIC])
        await write(through_proxies, [b"one", b"two"], seconds=20)

        brokers[0].kill()
        await write(through_proxies, [b"three"], seconds=20)
        assert await read_all(through_proxies) == [b"one", b"two", b"three"]
        brokers[1].kill()
        with pytest.raises((KafkaError, TimeoutError)):
            await write(through_proxies, [b"four"], seconds=3)

        assert sum(link.count.bytes for link in links)
