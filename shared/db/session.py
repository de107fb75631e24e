"""Engine and transactions. Absence of the database is a TemporaryFailure; everything else stays what it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.errors import TemporaryFailure
from shared.settings import ServiceSettings

# Classes of SQLSTATE after which the same transaction may succeed: connection (08), operator intervention (57),
# resources (53), and transaction rollback (40: serialisation failure, deadlock). 55P03 = lock not available,
# 25006 = read-only transaction (a standby, or a full disk's safety switch).
_PASSING_CLASSES = ("08", "57", "53", "40")
_PASSING_STATES = ("55P03", "25006")
# What comes straight from the driver (shared.db.driver), without SQLAlchemy's wrapping.
_DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError)


@asynccontextmanager
async def open_engine(settings: ServiceSettings, application: str) -> AsyncIterator[AsyncEngine]:
    """Open a pool of connections to PostgreSQL, closed on leaving. `application` shows in pg_stat_activity."""
    engine = create_async_engine(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=5.0,
        pool_pre_ping=False,
        # A statement's values are households' affairs; they belong in no log.
        hide_parameters=True,
        connect_args={
            "timeout": 5.0,
            "command_timeout": settings.database_statement_timeout_seconds + 5.0,
            "server_settings": {
                "application_name": application,
                "statement_timeout": str(int(settings.database_statement_timeout_seconds * 1000)),
                "idle_in_transaction_session_timeout": "60000",
                "timezone": "UTC",
                # Short statements only: compiling them costs more than it saves.
                "jit": "off",
            },
        },
    )
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Run one transaction: committed on leaving, rolled back by any exception. Raises TemporaryFailure."""
    try:
        async with engine.begin() as connection:
            yield connection
    except (DBAPIError, PoolTimeout, OSError, TimeoutError, *_DRIVER_ERRORS) as error:
        if is_passing(error):
            raise TemporaryFailure(f"database: {_in_short(error)}") from error
        raise


def is_passing(error: BaseException) -> bool:
    """Tell whether the database may well take the same transaction later."""
    if isinstance(error, (PoolTimeout, OSError, TimeoutError)):
        return True
    origin = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(origin, "sqlstate", None) or ""
    if state:
        return state[:2] in _PASSING_CLASSES or state in _PASSING_STATES
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, (InterfaceError, OperationalError))
    return isinstance(error, asyncpg.InterfaceError)


async def check_database(engine: AsyncEngine) -> None:
    """Ask the database for one row. Raises TemporaryFailure."""
    async with transaction(engine) as connection:
        await connection.execute(text("SELECT 1"))


def _in_short(error: BaseException) -> str:
    # The driver's own words can quote a row; the class and the state say enough.
    origin = getattr(error, "orig", None) or error
    state = getattr(origin, "sqlstate", None)
    return f"{type(origin).__name__} {state or ''}".strip()
