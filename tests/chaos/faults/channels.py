"""Faults of the ways to people: receivers and mail servers that refuse, stall, lie, or are not there."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

from tests.chaos.base import Effect, Fault
from tests.chaos.faults.promises import lasting, must
from tests.chaos.faults.secure_channels import bad_certificates, mail_troubles
from tests.chaos.faults.surge import HEARD_WITHIN_SECONDS, surge
from tests.chaos.faults.telling import Told, lapse, people_again, restart_notifiers
from tests.chaos.hooks import Planted
from tests.chaos.journal import read_journal
from tests.chaos.planted.resolver import RESOLVER_VARIABLE
from tests.chaos.service_settings import SHORT_TIMES
from tests.chaos.world import World

AT_ONCE_SECONDS = 15.0
"""Other channels must have told within this time; steady it is below one second, but here the machine is busy."""
SEND_TIMEOUT_SECONDS = float(SHORT_TIMES["SHOUWANG_NOTIFIER_SEND_TIMEOUT_SECONDS"])
LONGEST_RETRY_AFTER_SECONDS = 1_800.0
HUGE_GROWTH_BYTES = 64 * 1024 * 1024


async def _mail_went_on(told: Told, during: str) -> int:
    mails = told.count("smtp", "taken")
    must(mails > 0, f"no mail was taken while {during}")
    slowest = await told.slowest("smtp")
    must(slowest < AT_ONCE_SECONDS, f"a mail took {slowest:.1f} s while {during}")
    return mails


async def webhooks_fail(world: World, rng: Random) -> Effect:
    """F49: ten minutes of the schedule in twelve seconds; mails go out as if nothing were."""
    told = Told(world)
    for status in ("500", "503"):
        world.devices.webhook_mode = status
        await lapse(world, 6)
    refused, mails = told.count("webhook", "refused"), await _mail_went_on(told, "webhooks failed")
    await people_again(world)
    return Effect(f"{refused} webhooks refused with 500 and 503; {mails} mails taken meanwhile", refused)


async def told_to_wait(world: World, rng: Random) -> Effect:
    """F50: what each receiver asks for, and the pause in seconds that may come of it."""
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    asked: Mapping[str, tuple[str, float, float]] = {
        "cadre-1": ("429:20", 20, 20.1),
        "cadre-2": (f"503:{in_a_minute}", 40, 60.1),
        "cadre-3": ("429:99999999", LONGEST_RETRY_AFTER_SECONDS, LONGEST_RETRY_AFTER_SECONDS + 0.1),
        "township-1": ("429:-5", 5, 5.6),
        "county-1": ("429:3", 5, 5.6),
    }
    told = Told(world)
    world.devices.webhook_mode_of.update({staff: mode for staff, (mode, _, _) in asked.items()})
    await asyncio.sleep(5)
    pauses = await _pauses_after_first(world, told)
    for staff, (mode, least, most) in asked.items():
        for pause in pauses.get(staff, ()):
            must(least <= pause <= most, f"{mode}: the next attempt was set {pause:.1f} s later")
    refused = told.count("webhook", "refused")
    await people_again(world)
    return Effect(f"{refused} webhooks told to come later, in five ways; pauses kept for {len(pauses)}", len(pauses))


async def _pauses_after_first(world: World, told: Told) -> Mapping[str, Sequence[float]]:
    """The pauses between a webhook's only attempt so far and its next, by person."""
    rows = await world.sql(
        """
        SELECT d.staff_id, array_agg(DISTINCT extract(epoch FROM d.next_attempt_at - a.at)::float8) AS pauses
        FROM delivery d JOIN delivery_attempt a USING (delivery_id)
        WHERE d.channel = 'webhook' AND d.status = 'pending' AND d.attempts = 1 AND a.at >= :since
          AND a.detail IN ('http_429', 'http_503')
        GROUP BY d.staff_id
        """,
        since=told.since,
    )
    return {row.staff_id: row.pauses for row in rows}


async def slow_or_huge(world: World, rng: Random) -> Effect:
    """F51: one answers a byte a second, one never, one without end."""
    told = Told(world)
    notifiers = [service for service in world.services.values() if service.kind == "notifier"]
    before = sum(service.memory_bytes() for service in notifiers)
    world.devices.webhook_mode_of.update({"cadre-1": "drip", "cadre-2": "silent", "cadre-3": "huge"})
    await asyncio.sleep(SEND_TIMEOUT_SECONDS + 4)
    grown = sum(service.memory_bytes() for service in notifiers) - before
    must(grown < HUGE_GROWTH_BYTES, f"the notifiers grew by {grown >> 20} MiB over endless answers")
    cut, mails = (await told.attempts("webhook")).get("timeout", 0), await _mail_went_on(told, "receivers stalled")
    await people_again(world)
    seen = f"{cut} attempts cut at the deadline of {SEND_TIMEOUT_SECONDS:g} s; memory grew by {grown >> 10} KiB"
    return Effect(f"{seen}; {mails} mails", cut)


async def receipts_lost(world: World, rng: Random) -> Effect:
    """F52: the receiver has the message and says 200, but the answer breaks off."""
    begin = len(read_journal(world.devices.journal.path))
    world.devices.webhook_mode = "reset_after_200"
    await lapse(world, 8)
    await people_again(world)
    twice = await _taken_again(world, begin)
    return Effect(f"{twice} messages came again under the same id", twice)


async def _taken_again(world: World, begin: int) -> int:
    seen: dict[str, int] = {}
    for line in read_journal(world.devices.journal.path)[begin:]:
        if line["channel"] == "webhook" and line["outcome"] == "taken" and line["message_id"]:
            seen[line["message_id"]] = seen.get(line["message_id"], 0) + 1
    return sum(times > 1 for times in seen.values())


async def sent_elsewhere(world: World, rng: Random) -> Effect:
    """F53: a redirect to loopback, 410 and 404; each person has a mailbox besides."""
    told, followed = Told(world), world.devices.followed_redirects
    modes = {"cadre-1": f"redirect:{world.devices.redirect_target}", "cadre-2": "410", "cadre-3": "404"}
    world.devices.webhook_mode_of.update(modes)
    await lapse(world, 8)
    must(world.devices.followed_redirects == followed, "a redirect was followed")
    gone = await world.sql("SELECT staff_id FROM contact WHERE disabled_at IS NOT NULL")
    must([row.staff_id for row in gone] == ["cadre-2"], "410 must end the use of that one address, and of no other")
    refused, mails = told.count("webhook", "refused"), await _mail_went_on(told, "webhooks were refused for good")
    await world.sql("UPDATE contact SET disabled_at = NULL")
    await people_again(world)
    return Effect(f"{refused} refused, none followed, one address given up; {mails} mails", refused)


async def everybody_unreachable(world: World, rng: Random) -> Effect:
    """F57: half an hour of the schedule in twelve seconds."""
    told = Told(world)
    world.devices.webhook_mode = world.devices.smtp_mode = "refuse"
    await lapse(world, 12)
    tried = sum((await told.attempts("smtp")).values()) + sum((await told.attempts("webhook")).values())
    must(told.count("smtp", "taken") + told.count("webhook", "taken") < tried, "the channels were not down")
    await people_again(world)
    return Effect(f"{tried} attempts failed on all channels", tried)


async def nobody_on_duty(world: World, rng: Random) -> Effect:
    """F59: cadres, township and county are off; the duty officer of the province is left."""
    world.note("staff changed")
    told = Told(world)
    await world.sql("UPDATE staff SET active = false WHERE role <> 'duty_officer'")
    try:
        await asyncio.sleep(6)
    finally:
        await world.sql("UPDATE staff SET active = true")
    rows = await world.sql(
        "SELECT count(*) AS told FROM delivery WHERE routed_as = 'duty_officer' AND created_at >= :since",
        since=told.since,
    )
    return Effect(f"{rows[0].told} messages drafted for the duty officer instead", rows[0].told)


async def names_not_resolved(world: World, rng: Random) -> Effect:
    """F47: the name server refuses, then hangs; mail needs no name here and must go on."""
    switch = world.directory / f"resolver-{world.run}"
    for name in ("notifier-1", "notifier-2"):
        await world.services[name].restart(
            hooks=[Planted("resolver_at_a_switch")], environment={RESOLVER_VARIABLE: str(switch)}
        )
        await world.services[name].wait_ready()
    told = Told(world)
    switch.write_text("fail")
    await lapse(world, 5)
    switch.write_text("hang 8")
    await asyncio.sleep(9)
    switch.unlink()
    unresolved = (await told.attempts("webhook")).get("no_such_host", 0)
    mails = await _mail_went_on(told, "names could not be resolved")
    await restart_notifiers(world)
    await people_again(world)
    return Effect(f"{unresolved} look-ups failed, then they hung for 8 s; {mails} mails", unresolved)


FAULTS: Sequence[Fault] = (
    Fault("F47", "names of webhooks cannot be resolved, then look-ups hang", names_not_resolved),
    Fault("F49", "webhooks answer 500 and 503", webhooks_fail, short=True),
    Fault("F50", "webhooks answer 429 and 503 with Retry-After in five spellings", told_to_wait),
    Fault("F51", "webhooks drip, stay silent, answer without end", slow_or_huge),
    Fault("F52", "webhooks say 200 and break off", receipts_lost),
    Fault("F53", "webhooks redirect, are gone, are not found", sent_elsewhere),
    Fault("F54", "webhooks and mail with bad certificates or old TLS", bad_certificates),
    Fault("F55", "mail deferred, refused, cut after DATA, without STARTTLS", mail_troubles),
    Fault(
        "F56",
        "500 households turn red at once while webhooks are throttled",
        surge,
        recovers_within=120.0,
        heard_within=HEARD_WITHIN_SECONDS,
    ),
    Fault("F57", "every channel is down", everybody_unreachable),
    Fault("F59", "cadres, township and county are off duty", lasting(nobody_on_duty)),
)
NOT_INJECTED: Mapping[str, str] = {
    "F58": "the console has no streams to cut; pages are asked for one by one",
}
