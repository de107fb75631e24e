"""Statements on the driver itself stand in SQLAlchemy's transaction and fail as its own do."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.db.driver import AlreadyThere, Driver
from shared.db.session import transaction
from shared.errors import TemporaryFailure
from tests.services import rows

pytestmark = pytest.mark.integration

Act = Callable[[AsyncConnection], Awaitable[object]]


async def fetch(connection: AsyncConnection) -> object:
    return await (await Driver.of(connection)).fetch("SELECT key FROM kept WHERE key = ANY($1::int[])", [1, 2])


async def copy(connection: AsyncConnection) -> object:
    return await (await Driver.of(connection)).copy("kept", ["key"], [(1,), (2,)])


@pytest.fixture
async def kept(engine: AsyncEngine) -> AsyncEngine:
    async with transaction(engine) as connection:
        await connection.execute(text("CREATE TABLE kept (key int PRIMARY KEY, word text)"))
    return engine


async def test_what_is_copied_comes_and_goes_with_the_transaction(kept: AsyncEngine) -> None:
    with pytest.raises(KeyError):
        async with transaction(kept) as connection:
            await copy(connection)
            assert [row[0] for row in await fetch(connection)] == [1, 2]  # type: ignore[attr-defined]
            raise KeyError
    assert await rows(kept, "SELECT 1 FROM kept") == []
    async with transaction(kept) as connection:
        await copy(connection)
    assert [row.key for row in await rows(kept, "SELECT key FROM kept ORDER BY key")] == [1, 2]


async def test_a_key_that_is_there_already_is_told_and_undoes_all(kept: AsyncEngine) -> None:
    with pytest.raises(AlreadyThere, match="kept_pkey"):
        async with transaction(kept) as connection:
            await connection.execute(text("INSERT INTO kept VALUES (2)"))
            await copy(connection)
    assert await rows(kept, "SELECT 1 FROM kept") == []


@pytest.mark.parametrize("act", [fetch, copy])
async def test_a_connection_that_the_server_ends_is_a_passing_failure_and_is_replaced(
    kept: AsyncEngine, act: Act
) -> None:
    with pytest.raises(TemporaryFailure):
        async with transaction(kept) as connection:
            pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await rows(kept, "SELECT pg_terminate_backend(:pid)", pid=pid)
            await act(connection)
    for _ in range(20):
        async with transaction(kept) as connection:
            await fetch(connection)


@pytest.mark.parametrize("sqlstate", ["40001", "57014"])
async def test_what_the_server_may_take_later_is_a_passing_failure(kept: AsyncEngine, sqlstate: str) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'planned' USING ERRCODE = '{sqlstate}'; END $$"
    with pytest.raises(TemporaryFailure, match=sqlstate):
        async with transaction(kept) as connection:
            await (await Driver.of(connection)).fetch(raising)


async def test_a_wrong_statement_is_a_bug_and_no_passing_failure(kept: AsyncEngine) -> None:
    with pytest.raises(Exception, match="nowhere") as raised:
        async with transaction(kept) as connection:
            await (await Driver.of(connection)).fetch("SELECT * FROM nowhere")
    assert not isinstance(raised.value, TemporaryFailure)
