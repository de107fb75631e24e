"""Making and removing databases on a PostgreSQL server named by a DSN, local or not."""

from urllib.parse import urlsplit, urlunsplit

import asyncpg

from deploy.local.readiness import run_blocking

MAINTENANCE_DATABASE = "postgres"


def dsn_of(server: str, database: str) -> str:
    """The DSN of another database on the same server; a SQLAlchemy driver suffix is dropped."""
    parts = urlsplit(server)
    return urlunsplit(parts._replace(scheme="postgresql", path=f"/{database}"))


def create_database(server: str, name: str, *, template: str = "template1") -> str:
    """Make a database (a copy of `template`) unless it is there; its DSN. Nobody may be connected to the template."""
    run_blocking(lambda: create_database_async(server, name, template))
    return dsn_of(server, name)


def drop_database(server: str, name: str) -> None:
    """Remove a database if it is there, ending the connections to it."""
    run_blocking(lambda: _execute(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


async def create_database_async(server: str, name: str, template: str = "template1") -> None:
    """The same as create_database, from a running loop."""
    try:
        await _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    except asyncpg.DuplicateDatabaseError:
        return


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn_of(server, MAINTENANCE_DATABASE), timeout=10, command_timeout=60)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
