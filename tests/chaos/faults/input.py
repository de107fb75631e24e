"""Faults of what comes in: wrong clocks, repeats, conflicts, late and reordered events, poison, too much at once."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from tests.chaos.base import Effect, Fault
from tests.chaos.faults.backlog import HEARD_WITHIN_SECONDS, INJECTED_WITHIN_SECONDS, backlog
from tests.chaos.faults.callers import hostile_callers, torn_requests
from tests.chaos.faults.history import out_of_order
from tests.chaos.faults.poison import poison, versions_mixed
from tests.chaos.faults.promises import lasting, must
from tests.chaos.faults.sending import (
    SETTLED_SECONDS,
    as_received,
    at,
    days_ago,
    illness,
    in_ledger,
    put,
    reach_ledger,
    some_homes,
)
from tests.chaos.faults.watch import SCORERS, comes_true, happens
from tests.chaos.field_app import FieldEvent, Form, Kind
from tests.chaos.world import World

MAX_EVENTS, MAX_EVENT_BYTES, MAX_BATCH_BYTES = 500, 64 * 1024, 1024 * 1024
REPEATS = 5


async def device_clocks(world: World, rng: Random) -> Effect:
    """F62: apps whose clocks are years off, name no zone, or write the same instant with other offsets."""
    now = datetime.now(UTC)
    behind = [days_ago(3650), days_ago(400), days_ago(0.5), at(now + timedelta(hours=23))]
    same = [
        "2026-07-01T09:30:00+08:00",
        "2026-07-01T10:30:00+09:00",
        "2026-07-01T01:30:00Z",
        "2026-06-30T18:30:00-07:00",
    ]
    wrong = [at(now + timedelta(days=days)) for days in (2, 3650)]
    wrong += [
        "2026-07-01T09:30:00",
        "2026-02-29T09:30:00+08:00",
        "2026-07-01T09:30:60+08:00",
        "2026-07-01T09:30:00+99:99",
    ]
    homes = some_homes(world, rng, 5)
    taken = [illness(world, home, "100.00", kind=Kind.LATE, time=time) for home in homes for time in (*behind, *same)]
    refused = [illness(world, home, "100.00", kind=Kind.INVALID, time=time) for home in homes for time in wrong]
    for event in (*taken, *refused):
        world.load.submit([event])
    found = await reach_ledger(world, [event.id for event in taken])
    must(found == len(taken), f"{found} of {len(taken)} events from slow clocks are in the ledger")
    must(await in_ledger(world, [event.id for event in refused]) == 0, "an event from the future was applied")
    return Effect(f"{len(refused)} refused, {found} of slow or oddly spelt clocks applied", len(refused))


async def repeats(world: World, rng: Random) -> Effect:
    """F63: each event five times more over some seconds, spelt in two ways, and once from a day later."""
    before = await _scorers_metric(world, 'shouwang_scorer_events_total{outcome="duplicate"}')
    events = [illness(world, home, f"{rng.randint(50, 400)}.10") for home in some_homes(world, rng, 20)]
    for event in events:
        world.load.submit([event])
    for _ in range(REPEATS):
        await asyncio.sleep(rng.uniform(0.2, 1.5))
        for event in rng.sample(events, len(events)):
            body = _other_spelling(event.body) if rng.random() < 0.5 else event.body
            world.load.submit([replace(event, kind=Kind.DUPLICATE, body=body)])
    await reach_ledger(world, [event.id for event in events])
    tomorrow = datetime.now(UTC) + timedelta(hours=23)
    for event in events:
        await put(world, event.household.encode(), as_received(event, tomorrow), "nothing")
    await asyncio.sleep(2)
    seen = await _scorers_metric(world, 'shouwang_scorer_events_total{outcome="duplicate"}') - before
    return Effect(f"the scorers met {seen:.0f} repeats, {len(events)} of them dated a day later", int(seen))


def _other_spelling(body: bytes) -> bytes:
    """The same content with all keys in the opposite order, as another program might write it."""
    turned = json.loads(body, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    return json.dumps(turned, ensure_ascii=False, indent=1).encode()


async def conflicts(world: World, rng: Random) -> Effect:
    """F64: two bodies under one id at the same moment, for one household and for two."""
    homes = some_homes(world, rng, 40)
    pairs: list[tuple[FieldEvent, FieldEvent]] = []
    for number in range(0, 40, 2):
        first = illness(world, homes[number], "210.00", kind=Kind.CONFLICT)
        other = homes[number + 1] if number % 4 else homes[number]
        second = illness(world, other, "9000.00", kind=Kind.CONFLICT, id=first.id, source=first.source)
        pairs.append((first, second))
    for pair in pairs:
        for event in rng.sample(pair, 2):
            world.load.submit([event])
    ids = [first.id for first, _ in pairs]
    found = await reach_ledger(world, ids)
    must(found == len(ids), f"{found} of {len(ids)} ids stand in the ledger once")
    await comes_true(lambda: _all_kept(world, ids), SETTLED_SECONDS)
    return Effect(f"{len(ids)} ids with two bodies: {found} won, {await _kept(world, ids)} kept aside", found)


async def _all_kept(world: World, ids: Sequence[str]) -> bool:
    return await _kept(world, ids) == len(ids)


async def _kept(world: World, ids: Sequence[str]) -> int:
    """Count the bodies that were put aside because another one came first."""
    rows = await world.sql(
        "SELECT count(*) AS kept FROM quarantine WHERE reason = 'CONFLICTING_DUPLICATE' AND event_id = ANY(:ids)",
        ids=list(ids),
    )
    return int(rows[0].kept)


async def hot_household(world: World, rng: Random) -> Effect:
    """F68: half of the load goes to one household."""
    began = datetime.now(UTC)
    world.load.hot_share = 0.5
    await asyncio.sleep(10)
    world.load.hot_share = 0.0
    rows = await world.sql(
        """
        SELECT count(*) AS events FROM event_ledger WHERE recorded_at >= :began AND household_id LIKE :ours
        GROUP BY household_id ORDER BY 1 DESC
        """,
        began=began,
        ours=f"{world.run}-%",
    )
    counts = [int(row.events) for row in rows]
    return Effect(f"one household had {counts[0]} of {sum(counts)} events", counts[0])


async def too_large(world: World, rng: Random) -> Effect:
    """F70: each limit met exactly, and passed by one."""
    failed = world.load.counts.failed
    homes = list(world.load.households)

    def some(count: int, kind: Kind) -> list[FieldEvent]:
        return [illness(world, homes[number % len(homes)], "60.00", kind=kind) for number in range(count)]

    full, over = some(MAX_EVENTS, Kind.BATCH), some(MAX_EVENTS + 1, Kind.INVALID)
    brim, spilt = some(1, Kind.NORMAL), some(1, Kind.INVALID)
    heavy, heavier = some(20, Kind.BATCH), some(20, Kind.INVALID)
    brim, spilt = _padded(brim, MAX_EVENT_BYTES), _padded(spilt, MAX_EVENT_BYTES + 1)
    heavy, heavier = _padded(heavy, MAX_BATCH_BYTES), _padded(heavier, MAX_BATCH_BYTES + 1)
    for events, form in ((brim, Form.ONE), (spilt, Form.ONE)):
        world.load.submit(events, form)
    for events in (full, over, heavy, heavier):
        world.load.submit(events, Form.LINES)
    taken, refused = [*full, *brim, *heavy], [*over, *spilt, *heavier]
    found = await reach_ledger(world, [event.id for event in taken])
    must(found == len(taken), f"{found} of {len(taken)} events within the limits were applied")
    await happens(lambda: world.load.counts.failed - failed >= len(refused), 10)
    must(await in_ledger(world, [event.id for event in refused]) == 0, "an event beyond a limit was applied")
    return Effect(f"{found} taken at the brim, {len(refused)} refused beyond it", len(refused))


def _padded(events: Sequence[FieldEvent], total: int) -> list[FieldEvent]:
    """Blow the events up with blanks, so that the body of a request with all of them has exactly this many bytes."""
    newlines = len(events) - 1
    share, rest = divmod(total - newlines, len(events))
    sizes = [share + (place < rest) for place in range(len(events))]
    return [replace(event, body=event.body.ljust(size)) for event, size in zip(events, sizes, strict=True)]


async def _scorers_metric(world: World, name: str) -> float:
    return sum([(await world.services[scorer].metrics()).get(name, 0.0) for scorer in SCORERS])


FAULTS: Sequence[Fault] = (
    Fault("F62", "device clocks off by years, without zone, in odd offsets", lasting(device_clocks)),
    Fault("F63", "each event six times over, the last a day later", repeats),
    Fault("F64", "two bodies under one id at the same moment", lasting(conflicts)),
    Fault("F65", "reordered, up to 300 days late, corrected before they come", out_of_order),
    Fault("F66", "poison straight on the topic", lasting(poison)),
    Fault("F67", "older and younger versions of the message mixed", lasting(versions_mixed)),
    Fault("F68", "one household has half of the load", hot_household),
    Fault(
        "F69",
        "a backlog is met at start",
        backlog,
        recovers_within=300.0,
        injected_within=INJECTED_WITHIN_SECONDS,
        heard_within=HEARD_WITHIN_SECONDS,
    ),
    Fault("F70", "batches and bodies at and beyond their limits", lasting(too_large)),
    Fault("F71", "slow headers, slow bodies, idle and 2,000 connections", hostile_callers),
    Fault("F72", "requests torn, half closed, pipelined, of two lengths", lasting(torn_requests)),
)
NOT_INJECTED: Mapping[str, str] = {}
