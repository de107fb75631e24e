"""The world's databases: a template made once, and a copy of it for each renewal."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from deploy.local.databases import create_database, create_database_async, drop_database
from deploy.local.first_setup import SOURCE_CLASSES
from deploy.local.programs import Programs, service_command
from shared.access import Scopes
from shared.db.access_keys import AccessKeys
from shared.db.migrate import migrate
from shared.settings import asyncpg_url
from tests.chaos.checker.position_log import POSITION_LOG_DDL
from tests.chaos.people import write_people
from tests.chaos.servers import Postgres

TEMPLATE = "chaos_template"
DIVISION = "99"
STATEMENT_SECONDS = 60.0


async def make_template(directory: Path, postgres: Postgres, webhook_base_url: str) -> None:
    """Make the template: the newest schema, the people, and the log of positions that the checker reads."""
    dsn = await asyncio.to_thread(create_database, postgres.dsn, TEMPLATE)
    await asyncio.to_thread(migrate, dsn)
    divisions, staff = write_people(directory / "people", webhook_base_url)
    environment = {"DATABASE_URL": dsn, "SHOUWANG_NOTIFIER_WEBHOOK_ALLOW_PRIVATE": "1"}
    programs = Programs(directory)
    for name, file in (("divisions", divisions), ("staff", staff)):
        await programs.run(name, service_command("notifier", name, "import", str(file)), environment)
    connection = await asyncpg.connect(dsn)
    try:
        for statement in POSITION_LOG_DDL:
            await connection.execute(statement)
    finally:
        await connection.close()


class Database:
    """One database of the world, reached directly, as superuser. Open one with `fresh_database`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._each_by_itself = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def sql(self, statement: str, values: Mapping[str, Any]) -> list[Row[Any]]:
        """Run one statement, by itself; its rows, if it has any."""
        async with self._each_by_itself.connect() as connection:
            found = await connection.execute(text(statement), values)
            return list(found.all()) if found.returns_rows else []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction: committed on leaving, rolled back by any exception."""
        async with self._engine.begin() as connection:
            yield connection

    async def new_key(self) -> str:
        """Make an API key that may do everything in division 99."""
        scopes = Scopes(
            division=DIVISION,
            types=("*",),
            sourceclasses=SOURCE_CLASSES,
            sources=("*",),
            read_alerts=True,
            act_on_alerts=True,
        )
        return await AccessKeys(self._engine).create("chaos", scopes, actor="chaos")

    async def close(self) -> None:
        """Let go of connections."""
        await self._engine.dispose()


async def fresh_database(postgres: Postgres, name: str) -> Database:
    """Copy the template."""
    await create_database_async(postgres.dsn, name, TEMPLATE)
    engine = create_async_engine(
        asyncpg_url(postgres.dsn_of(name)),
        pool_size=3,
        max_overflow=10,
        # The server dies now and then; a connection from before is no good afterwards.
        pool_pre_ping=True,
        connect_args={"timeout": 5.0, "command_timeout": STATEMENT_SECONDS, "server_settings": {"timezone": "UTC"}},
    )
    database = Database(engine)
    # A copied sequence believes that the write-ahead log has its next numbers; after a crash it gave them out twice.
    await database.sql("SELECT setval(pg_get_serial_sequence('audit_entry', 'entry_id'), 1000)", {})
    return database


async def forget_database(postgres: Postgres, name: str) -> None:
    """Remove a database that nobody needs any more, ending the connections to it."""
    await asyncio.to_thread(drop_database, postgres.dsn, name)
