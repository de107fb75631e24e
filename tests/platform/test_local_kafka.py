import shutil
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.children import descendants, start_time
from deploy.local.kafka import LocalKafka
from deploy.local.kafka_jars import LOCK_FILE, JarsRefused, class_path, locked_jars
from deploy.local.places import CACHE, REPOSITORY
from deploy.local.readiness import run_blocking
from deploy.local.server import ServerFailed

NOBODY_LISTENS = "http://127.0.0.1:9"


async def write(bootstrap_servers: str, values: list[bytes]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all") as producer:
        for value in values:
            await producer.send_and_wait("kept", value)


async def read_all(bootstrap_servers: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    consumer.assign([TopicPartition("kept", 0)])
    async with consumer:
        return [(await consumer.getone()).value for _ in range(count)]


@pytest.mark.integration
def test_what_kafka_acknowledged_is_there_after_a_restart_and_after_a_kill_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, NOBODY_LISTENS)
    values = [b"one", b"two", "三".encode()]
    found: list[list[bytes]] = []

    async def read() -> None:
        found.append(await read_all(kafka.bootstrap_servers, 3))

    with LocalKafka(tmp_path / "run 目录", port=0) as kafka:
        address, pid = kafka.bootstrap_servers, kafka.pid
        run_blocking(lambda: write(address, values))
        kafka.restart()
        run_blocking(read)
        kafka.kill()
        kafka.start()
        run_blocking(read)

        assert found == [values, values]
        assert kafka.bootstrap_servers == address
        assert kafka.pid != pid
        last = kafka.pid
    assert start_time(last) is None and not descendants(last)


@pytest.mark.integration
def test_an_altered_jar_is_refused_and_nothing_is_started(tmp_path: Path) -> None:
    jar = locked_jars()[0]
    other_lock = tmp_path / "jgo.lock.toml"
    other_lock.write_text(LOCK_FILE.read_text(encoding="utf-8").replace(jar.sha256, "0" * 64), encoding="utf-8")
    kafka = LocalKafka(tmp_path, port=0, lock=other_lock)

    with pytest.raises(JarsRefused, match=jar.name):
        kafka.start()

    assert not kafka.running
    with pytest.raises(ServerFailed):
        _ = kafka.pid


@pytest.mark.integration
def test_a_jar_with_one_more_byte_is_refused(tmp_path: Path) -> None:
    jars = class_path(CACHE / "kafka")
    copy = tmp_path / "cache" / "environment" / "jars"
    copy.mkdir(parents=True)
    for jar in jars:
        shutil.copy(jar, copy)
    with (copy / jars[3].name).open("ab") as altered:
        altered.write(b"!")

    with pytest.raises(JarsRefused, match=jars[3].name):
        class_path(tmp_path / "cache")


def test_the_committed_lock_names_every_jar_by_hash_and_no_address_or_machine_path() -> None:
    text = LOCK_FILE.read_text(encoding="utf-8") + (LOCK_FILE.parent / "jgo.toml").read_text(encoding="utf-8")

    assert all(len(jar.sha256) == 64 for jar in locked_jars())
    assert {"kafka_2.13-4.3.1.jar", "slf4j-simple-1.7.36.jar"} <= {jar.name for jar in locked_jars()}
    assert "://" not in text and str(REPOSITORY) not in text and "/" not in text.replace("//", "/")
