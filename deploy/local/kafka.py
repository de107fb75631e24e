"""A real single-node Apache Kafka on this machine, for `make run` and the tests.

    with LocalKafka(directory) as kafka:
        ... kafka.bootstrap_servers ...
        kafka.kill(); kafka.start()          # same address, what was acknowledged is still there

KRaft, broker and controller in one process, loopback only. Nothing to install: jars by jgo, Java from a wheel.

It can also be one node of a cluster (kafka_cluster.py). Such a node works only with others, so start them all before
waiting for one: `launch` each, then await `wait_ready` of each.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from deploy.local.children import Command, spawn
from deploy.local.java import find_java
from deploy.local.kafka_cluster import ClusterNode, new_cluster_id
from deploy.local.kafka_jars import LOCK_FILE, class_path
from deploy.local.places import CACHE
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.readiness import kafka_node_takes_part, kafka_round_trip
from deploy.local.server import LocalServer, ServerFailed
from deploy.local.terminal import last_lines

DEFAULT_PORT = 9092
DAY_MS = 24 * 3600 * 1000
SCRATCH = "scratch"

# Fixed settings, chosen for one small machine. Partition counts of the internal topics are low because each
# partition costs files and start time; they matter only where a cluster shares them out.
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # Relative to the working directory: no character of a user's path can break the settings file.
    "log.dirs": "data",
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "3",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "3",
    "group.initial.rebalance.delay.ms": "0",
    # A fault test's killed consumer should be noticed in seconds, not in the default's six at the earliest.
    "group.min.session.timeout.ms": "1000",
    "log.retention.ms": str(14 * DAY_MS),
    "offsets.retention.minutes": str(30 * 24 * 60),
    "log.segment.bytes": str(128 * 1024 * 1024),
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "4",
    # A killed broker cannot register again before the controller has given its old self up: 9 s by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}


class LocalKafka(LocalServer):
    """One Apache Kafka node, kept under `directory`/kafka.

    port: of the client listener; None = 9092 or the next free one, 0 = any free one. It stays over restarts of this
    object. heap_megabytes: the most that Java may use for objects; the process needs about 150 MB beside it.
    settings: over SETTINGS. node: its place in a cluster, whose ports are given there.
    """

    name: ClassVar[str] = "kafka"

    def __init__(
        self,
        directory: Path | str,
        port: int | None = None,
        *,
        cache: Path = CACHE,
        lock: Path = LOCK_FILE,
        heap_megabytes: int = 320,
        settings: Mapping[str, str] | None = None,
        node: ClusterNode | None = None,
    ) -> None:
        super().__init__(directory)
        self._settings = {**SETTINGS, **(settings or {})}
        self._wanted = DEFAULT_PORT if port is None else port
        self._cache = cache / "kafka"
        self._lock = lock
        self._heap_megabytes = heap_megabytes
        self._node = node
        self._ports = (node.clients[0].port, node.controller_port) if node else None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients; of this node alone in a cluster. Raises ServerFailed before the first start."""
        if self._ports is None:
            raise ServerFailed("kafka was never started")
        return f"{LOOPBACK}:{self._ports[0]}"

    @property
    def has_address(self) -> bool:
        """Whether its port is chosen."""
        return self._ports is not None

    def choose_other_ports(self) -> None:
        """See LocalServer. The ports of a cluster's node are known to others and stay."""
        if self._node is None:
            self._ports = None

    def prepare(self) -> Command:
        """Check the jars, format the directory once, write the settings; the command that starts the broker."""
        jars = class_path(self._cache, self._lock)
        self.home.mkdir(parents=True, exist_ok=True)
        if self._ports is None:
            self._ports = (free_port(self._wanted), free_port(0))
        self._empty_scratch_folder()
        self._write_settings(self._node.settings() if self._node else _addresses(*self._ports))
        if not (self.home / "data" / "meta.properties").exists():
            self._format(jars)
        return self._java(jars, "kafka.Kafka", "server.properties")

    async def ready(self) -> None:
        """See LocalServer: a record written, read back, its offset stored; in a cluster, to be one of the brokers."""
        if self._node is None:
            await kafka_round_trip(self.bootstrap_servers)
        else:
            await kafka_node_takes_part(self.bootstrap_servers, self._node.node_id)

    def _empty_scratch_folder(self) -> None:
        """Java unpacks native libraries at each start, and a killed one leaves them behind: keep them out of /tmp."""
        scratch = self.home / SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()

    def _write_settings(self, own: Mapping[str, str]) -> None:
        lines = [f"{key}={value}\n" for key, value in {**self._settings, **own}.items()]
        (self.home / "server.properties").write_text("".join(lines), encoding="ascii")

    def _format(self, jars: list[Path]) -> None:
        """Give an empty directory its cluster id; Kafka refuses to start on one without."""
        cluster = self._node.cluster_id if self._node else new_cluster_id()
        command = self._java(
            jars, "kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config", "server.properties"
        )
        child = spawn(command, self.log, self.record)
        if child.wait(timeout=self.start_seconds) != 0:
            raise ServerFailed(f"kafka: its directory could not be formatted\n{last_lines(self.log)}")

    def _java(self, jars: list[Path], main_class: str, *arguments: str) -> Command:
        java = find_java()
        argv = [
            str(java.program),
            *java.quiet_options(),
            f"-Xmx{self._heap_megabytes}m",
            "-XX:+UseSerialGC",
            "-XX:ReservedCodeCacheSize=64m",
            "-XX:-UsePerfData",
            # The nodes of a cluster on one machine are for tests, which start and kill them: the quick compiler alone
            # starts three of them with 10 s of processor time instead of 17 (measured on two cores).
            *(["-XX:TieredStopAtLevel=1"] if self._node else []),
            f"-Djava.io.tmpdir={SCRATCH}",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
            "-cp",
            os.pathsep.join(map(str, jars)),
            main_class,
            *arguments,
        ]
        # Java names files in the encoding of the locale; under LANG=C a path with Chinese characters is unreachable.
        return Command(argv, environment={**os.environ, "LC_ALL": "C.UTF-8"}, directory=self.home)


def _addresses(client: int, controller: int) -> dict[str, str]:
    """The settings that name the ports of a node that is alone."""
    return {
        "listeners": f"PLAINTEXT://{LOOPBACK}:{client},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{client}",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
    }
