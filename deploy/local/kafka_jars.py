"""The jars of Apache Kafka: fetched once by jgo, then checked against the committed lock before every start.

jgo reads mirrors and proxies from its own settings and the environment; no address is written here. What it brings
is believed only as far as `kafka/jgo.lock.toml` says: the class path is exactly the locked jars, each with its sha256.
"""

import fcntl
import hashlib
import os
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.children import Command, spawn
from deploy.local.places import CACHE
from deploy.local.terminal import ProgressLine, last_lines, say

COMMITTED = Path(__file__).with_name("kafka")
LOCK_FILE = COMMITTED / "jgo.lock.toml"
FETCH_TRIES = 3


class JarsRefused(RuntimeError):
    """A jar is not the one of the lock, or could not be had."""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """A jar as the lock names it: file name and sha256 in hexadecimal."""

    name: str
    sha256: str


def locked_jars(lock: Path = LOCK_FILE) -> list[LockedJar]:
    """The jars of a jgo lock file, in its order."""
    content = tomllib.loads(lock.read_text(encoding="utf-8"))
    return [LockedJar(f"{jar['artifactId']}-{jar['version']}.jar", jar["sha256"]) for jar in content["dependencies"]]


def class_path(cache: Path, lock: Path = LOCK_FILE) -> list[Path]:
    """The locked jars on this machine, fetched when some are missing. Raises JarsRefused.

    cache: directory for everything that is fetched, shared by all runs.
    """
    cache.mkdir(parents=True, exist_ok=True)
    jars = locked_jars(lock)
    with _one_at_a_time(cache):
        if any(jar.name not in _found(cache) for jar in jars):
            _fetch(cache, jars)
        return _checked(_found(cache), jars, cache)


@contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    """Two runs that start together must not fetch into one directory at once."""
    with (cache / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _found(cache: Path) -> Mapping[str, Path]:
    """Jars by file name; jgo keeps them in two folders, one for the modular ones."""
    return {jar.name: jar for folder in ("jars", "modules") for jar in (cache / "environment" / folder).glob("*.jar")}


def _checked(found: Mapping[str, Path], jars: list[LockedJar], cache: Path) -> list[Path]:
    """The jars' paths, after each one was read and compared (46 MB: about 0.1 s)."""
    missing = [jar.name for jar in jars if jar.name not in found]
    if missing:
        raise JarsRefused(f"jgo did not bring these jars of Kafka's lock: {', '.join(missing)}")
    altered = [jar.name for jar in jars if _sha256(found[jar.name]) != jar.sha256]
    if altered:
        raise JarsRefused(
            f"Kafka is not started: these jars are not the ones of {LOCK_FILE.name} (sha256 differs): "
            f"{', '.join(altered)}. Find out why, or remove {cache} and start again to fetch them anew."
        )
    return [found[jar.name] for jar in jars]


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _fetch(cache: Path, jars: list[LockedJar]) -> None:
    """Let jgo resolve and download, showing how far it is; tried again, since it keeps what it has."""
    say(f"Fetching Apache Kafka once: {len(jars)} jars, about 46 MB, into {cache}")
    for attempt in range(1, FETCH_TRIES + 1):
        if _run_jgo(cache, len(jars)):
            return
        say(f"  attempt {attempt} of {FETCH_TRIES} failed")
    raise JarsRefused(f"Kafka's jars could not be fetched; jgo's last lines:\n{last_lines(cache / 'jgo.log')}")


def _run_jgo(cache: Path, count: int) -> bool:
    """One run of `jgo sync` in the cache; True when it says that all went well."""
    project = cache / "project"
    project.mkdir(exist_ok=True)
    (project / "jgo.toml").write_bytes((COMMITTED / "jgo.toml").read_bytes())
    places = {"JGO_CACHE_DIR": str(cache / "environment"), "M2_REPO": str(cache / "repository")}
    jgo = [sys.executable, "-m", "jgo", "--resolver", "python", "--system-java", "--timeout", "60", "sync"]
    progress = ProgressLine("  Kafka")
    command = Command(jgo, environment={**os.environ, **places}, directory=project)
    process = spawn(command, cache / "jgo.log", cache / "jgo.json")
    while process.poll() is None:
        progress.show(_how_far(cache / "repository", count))
        time.sleep(1)
    progress.show(_how_far(cache / "repository", count))
    progress.done()
    return process.returncode == 0


def _how_far(repository: Path, count: int) -> str:
    sizes = [jar.stat().st_size for jar in repository.rglob("*.jar")]
    return f"{len(sizes)} of {count} jars, {sum(sizes) / 1e6:.0f} MB"


def main() -> None:
    """Fetch and check the jars now, where a person can watch it (`python -m deploy.local.kafka_jars`)."""
    cache = CACHE / "kafka"
    jars = class_path(cache)
    say(f"Apache Kafka: {len(jars)} jars in {cache}, each as in {LOCK_FILE.name}")


if __name__ == "__main__":
    main()
