"""Records that nobody should ever have written to the topic of household events (F66, F67)."""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from tests.chaos.base import Effect
from tests.chaos.faults.promises import must
from tests.chaos.faults.sending import Place, as_received, illness, in_quarantine, put, reach_ledger, some_homes
from tests.chaos.faults.watch import comes_true
from tests.chaos.world import World

LINE_MOVES_SECONDS = 5.0
ROUNDS = 3
ROUND_PAUSE_SECONDS = 1.5
Record = tuple[bytes | None, bytes | None]
LARGE_BYTES = 900_000


def _poisonous(world: World, rng: Random, home: str) -> Sequence[Record]:
    """One record of each kind, with its key."""
    key, now = home.encode(), datetime.now(UTC)
    event = illness(world, home, "1.00")
    good = as_received(event)
    return (
        (key, rng.randbytes(200)),
        (key, b"\x1f\x8b\x08\x00" + rng.randbytes(60)),
        (key, None),
        (None, good),
        (b"somebody-else", good),
        (key, b"[" * 100_000),
        (key, b"x" * LARGE_BYTES),
        (key, good[:-1] + b',"id":"twice"}'),
        (key, good.decode().encode("utf-16")),
        (key, as_received(event, specversion="2.0")),
        (key, as_received(event, recordedat=...)),
        (key, as_received(event, now + timedelta(days=2))),
        (key, as_received(event, type="cn.shouwang.moon.eclipse.v1")),
        (key, as_received(event, data={"self_pay_yuan": "a lot"})),
        (key, json.dumps({"hello": "world"}).encode()),
    )


async def poison(world: World, rng: Random) -> Effect:
    """F66: some of each kind among the load, with a repeat under a thousand headers; the line must move on."""
    places: list[Place] = []
    for home in some_homes(world, rng, ROUNDS):
        places += [await put(world, key, value, "quarantine") for key, value in _poisonous(world, rng, home)]
        await asyncio.sleep(ROUND_PAUSE_SECONDS)
    flood = [(f"header-{number}", b"x" * 50) for number in range(1_000)]
    known = illness(world, some_homes(world, rng, 1)[0], "2.00")
    world.load.submit([known])
    await reach_ledger(world, [known.id])
    await put(world, known.household.encode(), as_received(known), "nothing", flood)
    began = time.monotonic()

    async def all_kept() -> bool:
        return await in_quarantine(world, places) == len(places)

    # What is not kept by then is for the judge to find; the places are in his journal.
    await comes_true(all_kept, LINE_MOVES_SECONDS)
    kept = await in_quarantine(world, places)
    return Effect(
        f"{len(places)} poisoned records, {kept} kept with a reason {time.monotonic() - began:.1f} s on", len(places)
    )


async def versions_mixed(world: World, rng: Random) -> Effect:
    """F67: records of older and younger writers side by side: what is optional may be missing or unknown."""
    taken: list[str] = []
    kept: list[Place] = []
    for home in some_homes(world, rng, 10):
        key = home.encode()
        younger, older = illness(world, home, "310.00"), illness(world, home, "320.00")
        data = json.loads(younger.body)["data"] | {"invoice_ref": "INV-1", "lines": [{"yuan": 310}]}
        await put(world, key, as_received(younger, data=data, severity="high", partitionhint=3), "ledger")
        await put(world, key, as_received(older, datacontenttype=..., keyid=...), "ledger")
        taken += [younger.id, older.id]
        next_major = illness(world, home, "330.00")
        kept.append(
            await put(world, key, as_received(next_major, type="cn.shouwang.health.hospitalisation.v2"), "quarantine")
        )
        kept.append(await put(world, key, as_received(next_major, specversion="1.1"), "quarantine"))
    found = await reach_ledger(world, taken)
    must(found == len(taken), f"{found} of {len(taken)} records of neighbouring versions were applied")
    return Effect(
        f"{found} of younger and older writers applied, {len(kept)} of an unknown major version kept aside", found
    )
