"""What looks odd but is sound: accepted in every form, and read back equal from the real ledger."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import SettableClock
from tests.conftest import Platform
from tests.corpus.case import named
from tests.corpus.real import Real, differences, real_services
from tests.corpus.table import ACCEPTED
from tests.fakes.ingest_edge import NOW

pytestmark = pytest.mark.integration


def bodies(form: str) -> list[bytes]:
    """Every sound case under an id of its own; as a line it may have no line break between its tokens."""
    sent = [named(case.body, f"{form}-{number}") for number, case in enumerate(ACCEPTED)]
    return [body.replace(b"\n", b" ") for body in sent] if form == "line" else sent


async def test_every_sound_case_is_stored_and_read_back_equal(platform: Platform, engine: AsyncEngine) -> None:
    alone, array, lines = bodies("alone"), bodies("array"), bodies("line")
    async with real_services(platform, engine, SettableClock(NOW)) as real:
        await send_alone(real, alone)
        await real.send_array(array)
        await real.send_lines(lines)
        stored = await real.ledger(len(ACCEPTED) * 3)
    found_otherwise = [found for body in (*alone, *array, *lines) for found in differences(body, stored)]
    assert found_otherwise == []


async def send_alone(real: Real, alone: list[bytes]) -> None:
    turns = asyncio.Semaphore(16)

    async def send(body: bytes) -> None:
        async with turns:
            await real.send(body)

    await asyncio.gather(*(send(body) for body in alone))
