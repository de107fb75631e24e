"""A key for the load."""

from pydantic import SecretStr

from shared.access import Scopes
from shared.db.access_keys import AccessKeys
from shared.db.session import open_engine
from shared.events.household_event import SourceClass
from shared.settings import ServiceSettings
from tests.bench.platform import Place


async def make_key(place: Place) -> str:
    """Make a key that may send anything for the divisions of the load."""
    settings = ServiceSettings(database_url=SecretStr(place.database_url), kafka_bootstrap_servers="not needed")
    everything = Scopes(division="99", types=("*",), sourceclasses=tuple(SourceClass))
    async with open_engine(settings, "bench") as engine:
        return await AccessKeys(engine).create("bench", everything, actor="bench")
