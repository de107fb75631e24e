"""Keys that are changed while everybody works on (F78)."""

import asyncio
from random import Random

import httpx2
from pydantic import SecretStr

from shared.access import Scopes
from shared.clock import SystemClock
from shared.db.access_keys import AccessKeys
from shared.db.session import open_engine
from shared.events.household_event import SourceClass
from shared.settings import ServiceSettings
from tests.chaos.base import Effect
from tests.chaos.checker.evidence import CLIENT
from tests.chaos.faults.promises import must
from tests.chaos.faults.telling import Told
from tests.chaos.faults.watch import comes_true
from tests.chaos.journal import read_journal
from tests.chaos.people import WEBHOOK_SECRET
from tests.chaos.world import World

KNOWN_WITHIN_SECONDS = 8.0
NEW_SECRET = "whsec_" + "bmV3LWNoYW9zLWhvdXNlLXdlYmhvb2stc2VjcmV0"
SCOPES = Scopes(division="99", types=("*",), sourceclasses=tuple(SourceClass), read_alerts=True, act_on_alerts=True)


async def keys_rotated(world: World, rng: Random) -> Effect:
    """F78: a second key, over to it, the first revoked; then receivers are sent signatures of two secrets."""
    old = world.api_key
    settings = ServiceSettings(database_url=SecretStr(world.postgres.dsn), kafka_bootstrap_servers="not needed")
    async with open_engine(settings, "chaos keys") as engine:
        keys = AccessKeys(engine)
        new = await keys.create("chaos, second", SCOPES, actor="chaos")
        must(await comes_true(lambda: _is_known(world, new), KNOWN_WITHIN_SECONDS), "the new key was not taken in time")
        world.load.use_key(new)
        world.api_key = new
        await asyncio.sleep(2)  # what is under way with the first key may end
        await keys.revoke(old.partition(".")[0], SystemClock().now(), actor="chaos")
    refused = await comes_true(lambda: _is_refused(world, old), KNOWN_WITHIN_SECONDS)
    must(refused, "the revoked key was still taken")
    failed = sum(line["status"] == 401 and line["run"] == world.run for line in read_journal(world.directory / CLIENT))
    must(failed == 0, f"{failed} honest calls were refused with 401")
    taken = await _two_signatures(world)
    return Effect(f"changed keys without one refusal; {taken} webhooks taken under two signatures", 1 + taken)


async def _two_signatures(world: World) -> int:
    told = Told(world)
    statement = "UPDATE contact SET secret = :secret WHERE channel = 'webhook'"
    await world.sql(statement, secret=f"{NEW_SECRET} {WEBHOOK_SECRET}")
    await asyncio.sleep(4)
    taken, refused = told.count("webhook", "taken"), told.count("webhook", "refused")
    await world.sql(statement, secret=WEBHOOK_SECRET)
    must(taken > 0 and refused == 0, f"{taken} webhooks taken, {refused} refused while two secrets were in use")
    return taken


async def _is_known(world: World, key: str) -> bool:
    return await _status(world, key) not in (None, 401)


async def _is_refused(world: World, key: str) -> bool:
    return await _status(world, key) == 401


async def _status(world: World, key: str) -> int | None:
    """What ingest says to an empty event: 401 for an unknown key, else something about the event."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/cloudevents+json"}
    address = f"{world.services['ingest'].base_url}/v1/events?dry_run=true"
    try:
        async with httpx2.AsyncClient(timeout=3.0, trust_env=False) as client:
            return (await client.post(address, content=b"{}", headers=headers)).status_code
    except httpx2.HTTPError:
        return None
