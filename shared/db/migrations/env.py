"""How Alembic reaches the database: one connection, one advisory lock, bounded waits."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.db.tables import METADATA, common, notifier, scorer

# Imported for their effect: each file hangs its tables on METADATA.
_OWNERS = (common, notifier, scorer)
# Any number will do, as long as every migrator takes the same.
_MIGRATION_LOCK = 7_239_001


def _migrate(connection: Connection) -> None:
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.execute(text("SET statement_timeout = '10min'"))
    connection.execute(text(f"SELECT pg_advisory_lock({_MIGRATION_LOCK})"))
    connection.commit()
    try:
        context.configure(
            connection=connection, target_metadata=METADATA, compare_type=True, transaction_per_migration=True
        )
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text(f"SELECT pg_advisory_unlock({_MIGRATION_LOCK})"))
        connection.commit()


async def _run() -> None:
    engine = create_async_engine(context.config.attributes["database_url"], poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate)
    finally:
        await engine.dispose()


asyncio.run(_run())
