"""A backlog is met at start: records by the hundred thousand, while fresh grave illnesses go on coming (F69)."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random

from deploy.local.red_alert import red_alert_events
from shared.clock import SHANGHAI, to_rfc3339
from tests.chaos.base import Effect
from tests.chaos.faults.promises import must
from tests.chaos.faults.sending import EVENTS_TOPIC
from tests.chaos.faults.watch import SCORERS, comes_true
from tests.chaos.people import VILLAGES
from tests.chaos.world import World

RECORDS = int(os.environ.get("SHOUWANG_CHAOS_BACKLOG", "100000"))
"""A million is the full size, SHOUWANG_CHAOS_BACKLOG=1000000."""
EVENTS_OF_A_HOUSEHOLD = 50
OVERTAKEN = "shouwang_scorer_overtaken_events_total"
NATION_PER_SECOND = 45.0
"""What the whole country is expected to send, on the mean."""
TIMES_FASTER = 4.0
DRAINED_WITHIN_SECONDS = 60.0 + RECORDS / 1_000
INJECTED_WITHIN_SECONDS = 2 * DRAINED_WITHIN_SECONDS
FRESH_WITHIN_SECONDS = 60.0
"""From a grave event that comes while the backlog is being worked off to the mail."""
HEARD_WITHIN_SECONDS = 60.0 + DRAINED_WITHIN_SECONDS
"""What was sent while the scorers were away is part of the backlog, and is told of when its turn has come."""


async def backlog(world: World, rng: Random) -> Effect:
    """F69: the scorers are away while the log fills; then they come back, and the load has never stopped."""
    for name in SCORERS:
        world.hold_down(name)
    made = await world.produce_all(EVENTS_TOPIC, _records(world.run))
    before, began, back_at = await _positions(world), time.monotonic(), datetime.now(UTC)
    ends = await world.end_offsets(EVENTS_TOPIC)
    await asyncio.gather(*(world.services[name].restart() for name in SCORERS))

    async def passed() -> bool:
        now = await _positions(world)
        return all(now.get(partition, 0) >= end for partition, end in ends.items())

    done = await comes_true(passed, DRAINED_WITHIN_SECONDS)
    seconds = time.monotonic() - began
    drained = sum((await _positions(world)).values()) - sum(before.values())
    rate = drained / seconds
    must(done, f"{drained} records in {seconds:.0f} s: the backlog is not gone ({rate:.0f}/s)")
    must(rate >= TIMES_FASTER * NATION_PER_SECOND, f"only {rate:.0f} records/s")
    lost = made - await _applied(world)
    must(lost == 0, f"{lost} records of the backlog are not in the ledger")
    count, slowest = await _fresh_alerts(world, back_at)
    overtaken = sum([(await world.services[name].metrics()).get(OVERTAKEN, 0.0) for name in SCORERS])
    must(slowest <= FRESH_WITHIN_SECONDS, f"a fresh red alert took {slowest:.0f} s")
    fresh = f"{count} fresh red alerts meanwhile, the slowest after {slowest:.1f} s; {overtaken:.0f} events went ahead"
    return Effect(f"{drained} records in {seconds:.0f} s: {rate:.0f}/s; {fresh}", drained)


def _records(run: str) -> Iterator[tuple[bytes, bytes]]:
    for number in range(-(-RECORDS // EVENTS_OF_A_HOUSEHOLD)):
        yield from _household(f"backlog-{run}-{number:06d}", VILLAGES[number % len(VILLAGES)])


def _household(home: str, division: str) -> Iterator[tuple[bytes, bytes]]:
    """An enrolment, and small incomes that change no grade."""
    now = datetime.now(UTC)
    enrolment = red_alert_events(home, now.astimezone(SHANGHAI).date(), division)[0]
    received = {"recordedat": to_rfc3339(now), "keyid": "swchaos"}
    yield home.encode(), json.dumps(enrolment | received).encode()
    income = enrolment | received | {"type": "cn.shouwang.income.collective_dividend.v1"}
    for number in range(1, EVENTS_OF_A_HOUSEHOLD):
        event = income | {"id": f"{home}-{number}", "data": {"amount_yuan": number}}
        yield home.encode(), json.dumps(event).encode()


async def _positions(world: World) -> dict[int, int]:
    rows = await world.sql(
        """
        SELECT partition, coalesce(next_offset, 0) AS next_offset FROM partition_position
        WHERE consumer_group LIKE '%shouwang-scorer'
        """
    )
    return {row.partition: row.next_offset for row in rows}


async def _applied(world: World) -> int:
    rows = await world.sql(
        "SELECT count(*) AS applied FROM event_ledger WHERE household_id LIKE :homes", homes=f"backlog-{world.run}-%"
    )
    return int(rows[0].applied)


async def _fresh_alerts(world: World, since: datetime) -> tuple[int, float]:
    """Red alerts of events received after an instant: how many, and the longest way from receipt to mail, seconds."""
    rows = await world.sql(
        """
        SELECT count(*) AS alerts,
               coalesce(max(extract(epoch FROM d.sent_at - (a.change ->> 'recorded_at')::timestamptz)), 0) AS seconds
        FROM alert a JOIN delivery d USING (alert_id)
        WHERE a.household_id LIKE :ours AND a.grade = 4 AND d.channel = 'smtp' AND d.status = 'sent'
          AND (a.change ->> 'recorded_at')::timestamptz >= :since
        """,
        ours=f"{world.run}-%",
        since=since,
    )
    return int(rows[0].alerts), float(rows[0].seconds)
