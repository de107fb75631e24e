"""Faults of TLS and of the mail server: what must be refused, and never be sent in clear instead."""

import asyncio
from collections.abc import Sequence
from random import Random

from tests.chaos.base import Effect
from tests.chaos.certificates import CERTIFICATES, Certificate
from tests.chaos.faults.promises import must
from tests.chaos.faults.telling import Told, hurry, lapse, people_again, restart_notifiers
from tests.chaos.world import World

PHASE_SECONDS = 3.0
UNDER_WAY_SECONDS = 1.0
"""What was leased before a change of the devices, or of the addresses, may still go the old way for so long."""
BAD = [name for name in CERTIFICATES if name != "good"]
MAIL_MODES = ("tempfail", "permfail", "greylist", "cut_after_data")


async def bad_certificates(world: World, rng: Random) -> Effect:
    """F54: webhooks over TLS, each bad certificate in turn for webhook and mail, then the good one."""
    ca_file, before = str(world.devices.ca_file), await _webhook_addresses(world)
    await restart_notifiers(world, SHOUWANG_NOTIFIER_SMTP_STARTTLS="1", SHOUWANG_NOTIFIER_SMTP_CA_FILE=ca_file)
    await world.sql(
        "UPDATE contact SET address = :base || '/hook/' || staff_id WHERE channel = 'webhook'",
        base=f"https://127.0.0.1:{world.devices.webhook_tls_port}",
    )
    refused = 0
    try:
        for name in BAD:
            refused += await _refused_for(world, name)
        told = Told(world)
        world.devices.webhook_certificate = world.devices.smtp_certificate = "good"
        await hurry(world)
        await lapse(world, PHASE_SECONDS)
        must(told.count("webhook", "taken") > 0, "the good certificate was refused too (webhook)")
        must(told.count("smtp", "taken") > 0, "the good certificate was refused too (mail)")
    finally:
        for staff_id, url in before:
            statement = "UPDATE contact SET address = :url WHERE staff_id = :staff_id AND channel = 'webhook'"
            await world.sql(statement, url=url, staff_id=staff_id)
        await people_again(world)
        await restart_notifiers(world)
    return Effect(f"{refused} attempts broken off over {len(BAD)} kinds of bad certificates, none in clear", refused)


async def _refused_for(world: World, name: Certificate) -> int:
    world.devices.webhook_certificate = world.devices.smtp_certificate = name
    # Connections to the mail server are kept; those made under another certificate must go.
    world.links.smtp.cut()
    world.links.smtp.heal()
    await asyncio.sleep(UNDER_WAY_SECONDS)
    told = Told(world)
    await hurry(world)
    await lapse(world, PHASE_SECONDS)
    for channel in ("webhook", "smtp"):
        must(
            told.count(channel, "taken") == 0, f"{channel}: a message went out to a device with the certificate {name}"
        )
    # An old TLS version can also be refused by the device; the attempt then ends in a broken connection.
    ended = [await told.attempts(channel) for channel in ("webhook", "smtp")]
    return sum(attempts.get(word, 0) for attempts in ended for word in ("tls", "disconnected", "connection_refused"))


async def _webhook_addresses(world: World) -> Sequence[tuple[str, str]]:
    rows = await world.sql("SELECT staff_id, address FROM contact WHERE channel = 'webhook'")
    return [(row.staff_id, row.address) for row in rows]


async def mail_troubles(world: World, rng: Random) -> Effect:
    """F55: deferred, refused for good, deferred once, cut after DATA; then a relay whose STARTTLS somebody strips."""
    told = Told(world)
    for mode in MAIL_MODES:
        world.devices.smtp_mode = mode
        await lapse(world, PHASE_SECONDS)
    failed = sum(count for detail, count in (await told.attempts("smtp")).items() if detail != "sent")
    must(told.count("webhook", "taken") > 0, "no webhook was taken while mail failed")
    stripped = await _starttls_stripped(world)
    await people_again(world)
    return Effect(f"{failed} mails failed in four ways; {stripped} not sent where STARTTLS was missing", failed)


async def _starttls_stripped(world: World) -> int:
    ca_file = str(world.devices.ca_file)
    world.devices.smtp_mode = "refuse"
    await restart_notifiers(world, SHOUWANG_NOTIFIER_SMTP_STARTTLS="1", SHOUWANG_NOTIFIER_SMTP_CA_FILE=ca_file)
    told = Told(world)
    world.devices.smtp_mode = "no_starttls"
    await hurry(world)
    await lapse(world, PHASE_SECONDS)
    must(told.count("smtp", "taken") == 0, "a mail went out in clear although STARTTLS was asked for")
    not_offered = (await told.attempts("smtp")).get("not_offered", 0)
    must(not_offered > 0, "nobody tried to send mail while STARTTLS was missing")
    world.devices.smtp_mode = "ok"
    await restart_notifiers(world)
    return not_offered
