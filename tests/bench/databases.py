"""The databases of a run: made, copied and removed within seconds, whatever they hold."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from deploy.local.databases import MAINTENANCE_DATABASE, dsn_of

# What decides how fast a server can be told that something is safe; shown in the document.
SHOWN_SETTINGS = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "wal_compression",
)


class Databases:
    """The databases of one run on a server, all under names of its own."""

    def __init__(self, server_dsn: str) -> None:
        self._server = server_dsn
        self._run = f"bench_{uuid.uuid4().hex[:8]}"
        self._made = 0

    def dsn_of(self, name: str) -> str:
        """`postgresql://…` of one of them."""
        return dsn_of(self._server, name)

    @asynccontextmanager
    async def new(self, name: str) -> AsyncIterator[str]:
        """Make an empty database for a block; its full name."""
        full = f"{self._run}_{name}"
        await self._do(f'CREATE DATABASE "{full}"')
        try:
            yield full
        finally:
            await self._drop(full)

    @asynccontextmanager
    async def copy_of(self, template: str) -> AsyncIterator[str]:
        """Copy a database for a block; nobody may be connected to it. Each copy begins right after a checkpoint."""
        self._made += 1
        full = f"{self._run}_{self._made}"
        # The files as they are: going through the log would write each of them twice.
        await self._do(f'CREATE DATABASE "{full}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        try:
            await self._checkpoint()
            yield full
        finally:
            await self._drop(full)

    @asynccontextmanager
    async def connection(self, name: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
        """A plain connection to one of them, without any time limit on statements."""
        connection = await asyncpg.connect(self.dsn_of(name), timeout=30)
        try:
            yield connection
        finally:
            await connection.close()

    async def about(self) -> dict[str, str]:
        """The server's version and those of its settings that matter here, as it says itself."""
        async with self.connection(MAINTENANCE_DATABASE) as connection:
            shown = {name: str(await connection.fetchval(f"SHOW {name}")) for name in SHOWN_SETTINGS}
            return {"version": str(await connection.fetchval("SHOW server_version")).split()[0], **shown}

    async def _checkpoint(self) -> None:
        # On a server that is not ours we may not be allowed to; then the rounds begin where they begin.
        with suppress(asyncpg.InsufficientPrivilegeError):
            await self._do("CHECKPOINT")

    async def _drop(self, full: str) -> None:
        await self._do(f'DROP DATABASE IF EXISTS "{full}" WITH (FORCE)')

    async def _do(self, statement: str) -> None:
        async with self.connection(MAINTENANCE_DATABASE) as connection:
            await connection.execute(statement)
