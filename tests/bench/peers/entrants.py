"""Who takes part: how each is started, what it promises, and where its durable side is looked at."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local.java import find_java
from deploy.local.places import REPOSITORY
from tests.bench.peers.durable import (
    BytewaxStore,
    Changelog,
    Durable,
    Postgres,
    PostgresWithPosition,
    binary_state,
    json_state,
)
from tests.bench.peers.log import PeersLog
from tests.bench.peers.place import EntrantPlace

FOLDER = REPOSITORY / "tests" / "bench" / "peers"
JAVA_FOLDER = FOLDER / "kafka_streams"
ENVIRONMENTS = REPOSITORY / ".local" / "peers"
OURS = "ours"
JAVA = "kafka_streams"
HEAP = "-Xmx512m"

Look = Callable[[PeersLog, EntrantPlace, "asyncpg.Connection[Any]"], Durable]


@dataclass(frozen=True, slots=True)
class Entrant:
    """One of those who are compared.

    name: in the lines, and of its environment. package: the framework's, whose version is shown. module: of this
    package; None for the one in Java. delivery: what it promises after a kill, for the counters and for the alerts.
    look: opens its durable side.
    """

    name: str
    title: str
    package: str | None
    module: str | None
    delivery: str
    look: Look

    @property
    def environment(self) -> Path:
        """Folder of its own environment."""
        return ENVIRONMENTS / self.name

    @property
    def version(self) -> str:
        """Version of its framework as it is locked; empty for ours."""
        if self.package is None:
            return ""
        locked = (JAVA_FOLDER / "pom.xml" if self.module is None else self.lock).read_text(encoding="utf-8")
        found = re.search(rf"(?:^|>){self.package}(?:==|</artifactId>\s*<version>)([0-9.]+)", locked, re.M)
        return found[1] if found else ""

    @property
    def shown(self) -> str:
        """The title with the version in its place."""
        return self.title.format(version=self.version)

    @property
    def lock(self) -> Path:
        """The locked requirements of its environment."""
        return FOLDER / "requirements" / f"{self.name}.txt"

    def command(self, python: Path | None = None) -> Sequence[str]:
        """The command line that runs it. python: instead of its own environment's. Raises NoJava."""
        if self.module is None:
            return _java(self.environment)
        return [str(python or self.environment / "bin" / "python"), "-m", f"tests.bench.peers.{self.module}"]


def _java(environment: Path) -> Sequence[str]:
    java = find_java()
    jars = [environment / "peers-kafka-streams.jar", *sorted((environment / "jars").glob("*.jar"))]
    return [
        *(str(java.program), *java.quiet_options(), HEAP, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
        *("-cp", os.pathsep.join(map(str, jars)), "cn.shouwang.peers.ToyJob"),
    ]


def _quix_household(key: bytes) -> str:
    return key.partition(b"|")[0].decode()


def _faust_household(key: bytes) -> str:
    return key.decode().strip('"')


ENTRANTS: Sequence[Entrant] = (
    Entrant(
        "quix",
        "Quix Streams {version}",
        "quixstreams",
        "quix_streams",
        "exactly once",
        lambda log, place, _: Changelog(log, place, "changelog__", _quix_household, json_state),
    ),
    Entrant(
        "bytewax",
        "Bytewax {version}",
        "bytewax",
        "bytewax_flow",
        "counters exactly once, alerts at least once",
        lambda _log, place, _: BytewaxStore(place.state_directory),
    ),
    Entrant("faststream", "FastStream {version}, asyncpg", "faststream", "faststream_app", "at least once", Postgres),
    Entrant(
        "faust",
        "Faust (faust-streaming {version})",
        "faust-streaming",
        "faust_app",
        "at least once",
        lambda log, place, _: Changelog(log, place, "-changelog", _faust_household, json_state),
    ),
    Entrant(
        JAVA,
        "Kafka Streams {version} (Java)",
        "kafka-streams",
        None,
        "exactly once",
        lambda log, place, _: Changelog(log, place, "-changelog", bytes.decode, binary_state),
    ),
    Entrant("bare", "bare aiokafka {version}, asyncpg", "aiokafka", "bare_loop", "at least once", Postgres),
    Entrant(
        OURS,
        "Shouwang's ConsumerLoop",
        None,
        "consumer_loop",
        "counters exactly once, alerts at least once",
        PostgresWithPosition,
    ),
)


def chosen(names: Sequence[str]) -> list[Entrant]:
    """Return the entrants of these names, all without any, and ours always. Raises ValueError for an unknown name."""
    known = [entrant.name for entrant in ENTRANTS]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"no entrant is called {', '.join(unknown)}; there are: {', '.join(known)}")
    return [one for one in ENTRANTS if not names or one.name in names or one.name == OURS]
