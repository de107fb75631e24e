"""Bring a database to the newest schema: numbered Alembic steps that travel inside the package.

Each step must work with the release that is still running (add, fill, switch, drop in a later release). Two migrators
never run at once: an advisory lock makes the second wait. Locks and statements time out rather than stop the house.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.session import transaction
from shared.errors import TemporaryFailure
from shared.settings import asyncpg_url


def alembic_config(database_url: str) -> Config:
    """Return Alembic's configuration; no ini file is needed."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["database_url"] = asyncpg_url(database_url)
    return config


def migrate(database_url: str, revision: str = "head") -> None:
    """Upgrade the database; a second run changes nothing. Not to be called while an event loop runs."""
    command.upgrade(alembic_config(database_url), revision)


def newest_revision() -> str:
    """Return the number of the last step that this release knows."""
    head = ScriptDirectory.from_config(alembic_config("postgresql://unused")).get_current_head()
    if head is None:
        raise RuntimeError("the package holds no migrations")
    return head


async def check_schema(engine: AsyncEngine, newest: str) -> None:
    """Raise TemporaryFailure unless the database has at least the schema of this release."""
    async with transaction(engine) as connection:
        known = await connection.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
        if not known.scalar_one():
            raise TemporaryFailure("the database is empty; run `shouwang-ingest migrate`")
        present = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
    if present is None or present < newest:
        raise TemporaryFailure(f"the database has schema {present}, this release needs {newest}; run `migrate`")
