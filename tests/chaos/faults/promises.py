"""What a fault's own promise was, beyond what the judge looks at after every run; and how long a fault lasts."""

import asyncio
from random import Random

from tests.chaos.base import Effect, Inject
from tests.chaos.world import World

LEAST_SECONDS = 9.0
"""So long the load takes, with what comes before and after a fault, until enough households have turned red."""


class NotHeld(AssertionError):
    """A promise that belongs to this fault alone was broken; the run is not valid."""


def must(held: bool, words: str) -> None:
    """Raise NotHeld with these words unless the promise was held."""
    if not held:
        raise NotHeld(words)


def lasting(inject: Inject) -> Inject:
    """Return an injection that goes on under load for a while even if it is done sooner."""

    async def inject_and_wait(world: World, rng: Random) -> Effect:
        effect, _ = await asyncio.gather(inject(world, rng), asyncio.sleep(LEAST_SECONDS))
        return effect

    return inject_and_wait
