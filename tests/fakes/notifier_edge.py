"""The notifier's whole app over a database that nobody can reach: enough for requests that end before they need it."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.types import ASGIApp

from services.notifier.console.auth import Passwords
from services.notifier.console.queries import ConsoleQueries
from services.notifier.metrics import NotifierMetrics
from services.notifier.store.stores import Stores
from services.notifier.wiring import Web
from shared.access import AccessKey, Scopes, hash_secret
from shared.clock import SettableClock
from shared.http.bearer import KeyCache
from shared.http.health import HttpMetrics
from shared.metrics import ServiceMetrics
from shared.policy import load_policies
from tests.fakes.notifier import NOW, WORDING, make_settings

_HOST = b"HTTP/1.1\r\nHost: x\r\n"
LOGIN = b"POST /login " + _HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
ACKNOWLEDGE = (
    b"POST /v1/alerts/al_0/acknowledge "
    + _HOST
    + b"Content-Type: application/json\r\nAuthorization: Bearer sw_acting.secret\r\n"
)


class _ActingKey:
    """One key, which may act on alerts."""

    async def access_keys(self) -> Mapping[str, AccessKey]:
        scopes = Scopes(division="99", read_alerts=True, act_on_alerts=True)
        acting = AccessKey(
            key_id="sw_acting",
            secret_sha256=hash_secret("secret"),
            name="acting",
            scopes=scopes,
            created_at=NOW,
        )
        return {acting.key_id: acting}


async def notifier_app(**settings: Any) -> ASGIApp:
    """Build it; the key of ACKNOWLEDGE is known to it."""
    made, registry, clock = make_settings(**settings), CollectorRegistry(), SettableClock(NOW)
    metrics = ServiceMetrics("notifier", registry)
    engine = create_async_engine(made.database_url.get_secret_value())
    keys = KeyCache(_ActingKey(), clock)
    await keys.refresh()
    web = Web(
        made,
        clock,
        load_policies(made.policies),
        keys,
        Passwords(),
        NotifierMetrics(metrics),
        HttpMetrics(metrics),
        registry,
        WORDING,
    )
    return web.app(Stores.on(engine), ConsoleQueries(engine), {})
