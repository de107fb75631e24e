"""Two faults at the same time (F80)."""

import asyncio
from collections.abc import Mapping
from random import Random

from tests.chaos.base import Effect, Fault
from tests.chaos.world import World

SOON_SECONDS = 2.0
INSIDE = ("F5", "F7", "F12", "F14", "F21", "F22", "F25", "F26", "F36", "F37", "F38", "F42", "F46", "F48")
"""What happens to services, log, database and network."""
OUTSIDE = (
    "F49",
    "F50",
    "F51",
    "F52",
    "F53",
    "F57",
    "F59",
    "F62",
    "F63",
    "F64",
    "F65",
    "F66",
    "F67",
    "F68",
    "F70",
    "F72",
)
"""What comes from people and callers meanwhile; none of these restarts a service."""


def random_pair(singles: Mapping[str, Fault]) -> Fault:
    """Make F80 of the faults that there are: one of INSIDE and one of OUTSIDE at a time, drawn by the seed."""

    async def inject(world: World, rng: Random) -> Effect:
        inside, outside = (
            rng.choice([code for code in codes if code in singles and not singles[code].needs()])
            for codes in (INSIDE, OUTSIDE)
        )
        return await both(world, rng, singles[inside], singles[outside])

    return Fault("F80", "two faults at the same time, drawn by the seed", inject, recovers_within=90.0)


async def both(world: World, rng: Random, first: Fault, second: Fault) -> Effect:
    """Inject two faults, the second while the first is on.

    One that breaks off under the other's blows is told of, not hidden; if both do, so does this.
    """
    world.note("pair", first=first.code, second=second.code)
    pause, seeds = rng.uniform(0.2, SOON_SECONDS), (rng.random(), rng.random())

    async def later() -> Effect:
        await asyncio.sleep(pause)
        return await second.inject(world, Random(seeds[1]))

    ended = await asyncio.gather(first.inject(world, Random(seeds[0])), later(), return_exceptions=True)
    effects = [one for one in ended if isinstance(one, Effect)]
    if not effects:
        raise ExceptionGroup("both faults broke off", [one for one in ended if isinstance(one, Exception)])
    words = [_words(fault, one) for fault, one in zip((first, second), ended, strict=True)]
    return Effect("; ".join(words), sum(effect.count for effect in effects))


def _words(fault: Fault, ended: Effect | BaseException) -> str:
    if isinstance(ended, Effect):
        return f"{fault.code}: {ended.seen}"
    return f"{fault.code} broke off under the other ({type(ended).__name__}: {ended})"
