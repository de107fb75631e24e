"""The two commands that every service offers, because each may be the first to meet an empty machine."""

import asyncio

import typer
from pydantic import SecretStr

from shared.bus.kafka import ensure_topics
from shared.db.migrate import migrate, newest_revision
from shared.errors import TemporaryFailure
from shared.settings import ServiceSettings, load_settings
from shared.topics import ALL_TOPICS


class _DatabaseOnly(ServiceSettings):
    kafka_bootstrap_servers: str = "not needed"


class _KafkaOnly(ServiceSettings):
    database_url: SecretStr = SecretStr("postgresql://not-needed/none")


def add_common_commands(app: typer.Typer) -> None:
    """Mount `migrate` and `topics`."""
    app.command("migrate")(migrate_database)
    app.command("topics")(create_topics)


def migrate_database() -> None:
    """Bring the database at DATABASE_URL to this release's schema."""
    settings = load_settings(_DatabaseOnly)
    migrate(settings.database_url.get_secret_value())
    typer.echo(f"database schema: {newest_revision()}")


def create_topics() -> None:
    """Create the topics that are missing on KAFKA_BOOTSTRAP_SERVERS."""
    settings = load_settings(_KafkaOnly)
    try:
        made = asyncio.run(
            ensure_topics(settings.kafka_bootstrap_servers, ALL_TOPICS, topic_prefix=settings.kafka_topic_prefix)
        )
    except TemporaryFailure as failure:
        typer.echo(f"topics were not created: {failure}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"topics created: {', '.join(made) or 'none missing'}")
