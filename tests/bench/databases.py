"""The databases of a run: made, copied and removed within seconds, whatever they hold."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
    async def copy_of(self, template: str = "template0") -> AsyncIterator[str]:
        """Copy a database for a block, or make an empty one; its name. Nobody may be connected to the template.

        The copy is written whole and a checkpoint lies behind it, so every round begins with the same to do.
        """
        self._made += 1
        name = f"{self._run}_{self._made}"
        # The files as they are: going through the log would write each of them twice.
        await self._do(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        try:
            yield name
        finally:
            await self._do(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

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

    async def _do(self, statement: str) -> None:
        async with self.connection(MAINTENANCE_DATABASE) as connection:
            await connection.execute(statement)
