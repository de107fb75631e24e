"""Fixtures that every test may use: the real Kafka and the real PostgreSQL, each test with names of its own.

The servers start when the first test asks for them and are shared by pytest-xdist's workers.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.local.testing import SessionPostgres, end_session, session_kafka, session_postgres
from shared.bus.kafka import ensure_topics
from shared.db.migrate import migrate
from shared.db.session import open_engine
from shared.settings import ServiceSettings, asyncpg_url
from shared.topics import ALL_TOPICS


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the servers of this session."""
    end_session()


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Address of the session's Kafka."""
    with session_kafka() as running:
        yield running.bootstrap_servers


@pytest.fixture(scope="session")
def postgres() -> Iterator[SessionPostgres]:
    """The session's PostgreSQL."""
    with session_postgres() as running:
        yield running


@pytest.fixture(scope="session")
def template_database(postgres: SessionPostgres) -> str:
    """Name of a database with the newest schema and no rows, from which the tests' own are copied."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    migrate(postgres.create_database(name))
    return name


@pytest.fixture
def database_url(postgres: SessionPostgres, template_database: str) -> Iterator[str]:
    """A migrated, empty database for one test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield asyncpg_url(postgres.create_database(name, template=template_database))
    postgres.drop_database(name)


@pytest.fixture
def topic_prefix(kafka: str) -> str:
    """A prefix under which all topics exist, for one test."""
    prefix = f"t{uuid.uuid4().hex[:10]}."
    asyncio.run(ensure_topics(kafka, ALL_TOPICS, topic_prefix=prefix))
    return prefix


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything a service needs to know about its surroundings in one test."""

    kafka: str
    database_url: str
    topic_prefix: str

    @property
    def environment(self) -> dict[str, str]:
        """The same as environment variables, for services started as processes."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "KAFKA_TOPIC_PREFIX": self.topic_prefix,
            "DATABASE_URL": self.database_url,
        }


@pytest.fixture
def platform(kafka: str, database_url: str, topic_prefix: str) -> Platform:
    """Kafka and PostgreSQL with names of this test's own."""
    return Platform(kafka, database_url, topic_prefix)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """A pool of connections to the test's own database."""
    settings = ServiceSettings(database_url=SecretStr(database_url), kafka_bootstrap_servers="not needed")
    async with open_engine(settings, "tests") as opened:
        yield opened
