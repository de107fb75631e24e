"""One Kafka and one PostgreSQL for a whole test session, started when the first test asks.

    with session_kafka() as kafka:          kafka.bootstrap_servers
    with session_postgres() as postgres:    postgres.dsn, postgres.create_database(name, template=...)

pytest-xdist's workers share them: whoever comes first starts a *keeper* process, under a file lock, and the others
wait and read the address. The keeper lives as long as the session's first process (the xdist controller, or pytest
itself), however that ends; then it stops its server and removes the directory. Where KAFKA_BOOTSTRAP_SERVERS or
DATABASE_URL name a server, that one is used and nothing is started.

A test that stops or kills a server wants its own: LocalKafka(tmp_path, port=0), LocalPostgres(tmp_path, port=0).
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import databases
from deploy.local.children import start_time
from deploy.local.kafka import LocalKafka
from deploy.local.places import REPOSITORY
from deploy.local.postgres import LocalPostgres
from deploy.local.terminal import last_lines

START_SECONDS = 300.0
_keepers: "dict[str, subprocess.Popen[bytes]]" = {}
_users: dict[str, int] = {}


class SessionFailed(RuntimeError):
    """A server for the tests did not start."""


@dataclass(frozen=True, slots=True)
class SessionKafka:
    """Address of the session's Kafka."""

    bootstrap_servers: str


@dataclass(frozen=True, slots=True)
class SessionPostgres:
    """Address of the session's PostgreSQL; `dsn` is of an empty database."""

    dsn: str

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Make a database unless it is there; its DSN."""
        return databases.create_database(self.dsn, name, template=template)

    def drop_database(self, name: str) -> None:
        """Remove a database, ending the connections to it."""
        databases.drop_database(self.dsn, name)


@contextmanager
def session_kafka() -> Iterator[SessionKafka]:
    """The Kafka of this test session. Raises SessionFailed."""
    with _session("kafka", os.environ.get("KAFKA_BOOTSTRAP_SERVERS")) as address:
        yield SessionKafka(address)


@contextmanager
def session_postgres() -> Iterator[SessionPostgres]:
    """The PostgreSQL of this test session, without fsync. Raises SessionFailed."""
    with _session("postgres", os.environ.get("DATABASE_URL")) as address:
        yield SessionPostgres(address)


def session_directory() -> Path:
    """The directory of this session, the same in each of its processes."""
    owner = _owner()
    # Others may pass through it (the database server runs as another user when we are root), not look into it.
    directory = Path(tempfile.gettempdir()) / f"shouwang-tests-{os.getuid()}-{owner}-{start_time(owner)}"
    directory.mkdir(mode=0o711, exist_ok=True)
    return directory


def end_session() -> None:
    """Stop what this session started and wait for it; for the controller's pytest_sessionfinish."""
    if _owner() == os.getpid():
        for name in ("kafka", "postgres"):
            _end_keeper(session_directory(), name)
        with contextlib.suppress(OSError):
            shutil.rmtree(session_directory())


def _owner() -> int:
    """Process id of the session's first process."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


@contextmanager
def _session(name: str, named: str | None) -> Iterator[str]:
    if named:
        yield named
        return
    directory = session_directory()
    with (directory / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        address = _address(directory, name) or _start_keeper(directory, name)
    _users[name] = _users.get(name, 0) + 1
    try:
        yield address
    finally:
        _users[name] -= 1
        if not _users[name] and _owner() == os.getpid():
            _end_keeper(directory, name)


def _address(directory: Path, name: str) -> str | None:
    file = directory / f"{name}.address"
    return file.read_text(encoding="utf-8") if file.exists() else None


def _start_keeper(directory: Path, name: str) -> str:
    """Start the process that keeps one server, and wait until it has written the address."""
    keeper = [sys.executable, "-m", "deploy.local.testing", name, str(directory), str(_owner())]
    log = directory / f"{name}-keeper.log"
    with log.open("ab") as output:
        # Not through the launcher: it must outlive this worker and end with the controller.
        process = subprocess.Popen(
            keeper, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    if not _keepers:
        atexit.register(_leave_keepers)
    _keepers[name] = process
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if address := _address(directory, name):
            return address
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise SessionFailed(f"{name} for the tests did not start:\n{last_lines(log)}")


def _leave_keepers() -> None:
    """This process ends before the session: its keepers live on, and the interpreter need not warn of them."""
    for process in _keepers.values():
        process.returncode = 0


def _end_keeper(directory: Path, name: str) -> None:
    """Stop a keeper, whichever process of the session started it."""
    pid_file = directory / f"{name}.keeper"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text(encoding="ascii"))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if name in _keepers:
        _keepers.pop(name).wait(timeout=30)
    deadline = time.monotonic() + 30
    while start_time(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)


def _keep(name: str, directory: Path, owner: int) -> None:
    """Keep one server running while the owner lives."""
    owner_started = start_time(owner)
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    (directory / f"{name}.keeper").write_text(str(os.getpid()), encoding="ascii")
    home = directory / "servers"
    server = LocalKafka(home, port=0) if name == "kafka" else LocalPostgres(home, port=0, durable=False)
    address = directory / f"{name}.address"
    with server:
        fresh = address.with_suffix(".new")
        fresh.touch(mode=0o600)
        text = server.bootstrap_servers if isinstance(server, LocalKafka) else server.dsn
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(address)
        while not asked.wait(0.3) and start_time(owner) == owner_started:
            pass
        address.unlink(missing_ok=True)
    shutil.rmtree(server.home, ignore_errors=True)
    (directory / f"{name}.keeper").unlink(missing_ok=True)
    if not list(directory.glob("*.keeper")):
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    _keep(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
