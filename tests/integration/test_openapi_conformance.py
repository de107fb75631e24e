"""What ingest and the notifier answer on real sockets is what their OpenAPI documents say, whoever asks for whatever.

A few examples here, in seconds (OPENAPI_EXAMPLES); `make fuzz` has more for ingest, and every field's boundary values.
"""

import os
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notifier.console.auth import Passwords
from shared.access import Scopes
from shared.clock import SettableClock
from shared.db.access_keys import AccessKeys
from shared.http.protocol_limits import HttpLimits
from shared.lifecycle import http_server
from shared.metrics import ServiceMetrics
from tests.corpus.real import serving
from tests.corpus.server import Served, served_ingest
from tests.fakes.ingest_edge import key
from tests.fakes.notifier import NOW, make_settings
from tests.fuzz.openapi import check
from tests.integration.test_notifier_console import House

FEW = ["--max-examples", os.environ.get("OPENAPI_EXAMPLES", "10"), "--seed", "1"]


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    async with served_ingest() as serving:
        yield serving


@pytest.mark.parametrize(
    ("bearer", "phases"), [(key(), "fuzzing,stateful"), (None, "fuzzing")], ids=["with a key", "without a key"]
)
async def test_ingest_does_what_its_openapi_document_says(served: Served, bearer: str | None, phases: str) -> None:
    url = f"{served.client.base_url}/openapi.json"
    status, said = await check(url, bearer=bearer, phases=phases, arguments=FEW)
    assert status == 0, said
    assert "5 passed" in said, said
    log = served.ingest.log.records
    assert log if bearer else not log
    log.clear()


@pytest.mark.integration
async def test_the_notifier_does_what_its_openapi_document_says(engine: AsyncEngine) -> None:
    passwords = Passwords()
    house = House(engine, SettableClock(NOW), make_settings(), passwords, None)
    passwords.close()
    await house.fill()
    scopes = Scopes(division="99", read_alerts=True, act_on_alerts=True)
    bearer = await AccessKeys(engine).create("test", scopes, actor="test")
    await house.keys.refresh()
    server = http_server(house.app, "127.0.0.1", 0, HttpLimits(), ServiceMetrics("tests", CollectorRegistry()))
    async with serving(server) as url:
        status, said = await check(f"{url}/openapi.json", bearer=bearer, phases="fuzzing", arguments=FEW)
    assert status == 0, said
