"""A storm: how soon everybody hears when ten thousand households turn red; what a notifier keeps in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from services.notifier.wiring import CONSUMER_GROUP
from shared.topics import GRADE_CHANGES
from tests.bench.bench import Bench
from tests.bench.house.hearing import first_heard, most_to_one_person
from tests.bench.house.machine import TELLING, Receiver, import_people, receiving
from tests.bench.house.mails import Mails, mail_server
from tests.bench.house.people import county_staff, county_villages
from tests.bench.house.receiver import Received, read_journal
from tests.bench.house.reds import publish, reds
from tests.bench.line import Goal, Line, Rounds
from tests.bench.measurement import Measurement
from tests.bench.platform import Place
from tests.bench.processes import Program

REDS, PEOPLE = 10_000, 50
WINDOW_SECONDS, MOST_MESSAGES = 600.0, 6
# What a person's budget holds back goes out when the ten minutes are over.
STORM_SECONDS = 700.0
OPEN_ALERTS, MORE_REDS = 100_000, 1_000
RUN_SECONDS = 30.0
STANDSTILL_SECONDS = 120.0
LOOK_EVERY_SECONDS = 0.5

STORM = Line(
    "notifier.storm_seconds", "s",
    "10,000 households turn red at once: from the first change on the topic until each is named in a message to"
    " somebody; 50 staff (5 county, 10 townships, 35 cadres) by mail and webhook, the shipped policy, one"
    " `shouwang-notifier serve`",
    goal=Goal(most=60), less_is_better=True,
)  # fmt: skip
ALERT_BYTES = Line(
    "size.database_bytes_per_alert", "B",
    "what the database grows by for each of these alerts, tables and indexes, with all that was told of it",
    less_is_better=True,
)  # fmt: skip
MEMORY = Line(
    "notifier.memory_mb", "MB",
    "most resident memory of a notifier that starts with 100,000 open red alerts and takes 1,000 more within half a"
    " minute, 50 staff",
    goal=Goal(most=200), less_is_better=True,
)  # fmt: skip

_PASSED = """
    SELECT coalesce(sum(next_offset), 0)::bigint FROM partition_position WHERE consumer_group = $1 AND topic = $2
"""
_TOLD = """
    SELECT count(DISTINCT alert_id) FILTER (WHERE status = 'sent') AS told,
           count(*) FILTER (WHERE status = 'pending') AS waiting
    FROM delivery
"""


class NotTold(RuntimeError):
    """The notifier stood still, or did not tell of everything in time."""


@dataclass(frozen=True, slots=True)
class Told:
    """How a storm was told. seconds: until each red was named to somebody."""

    seconds: float
    messages: int
    most_to_one: int


@dataclass(frozen=True, slots=True)
class Receivers:
    """Where the messages of the staff come to."""

    webhooks: Receiver
    mails: Mails

    def received(self) -> list[Received]:
        """Everything that has come so far."""
        return [*read_journal(self.webhooks.journal), *self.mails.received()]


@dataclass(frozen=True, slots=True)
class Running:
    """A notifier at its place."""

    place: Place
    notifier: Program
    connection: "asyncpg.Connection[Any]"
    receivers: Receivers


@asynccontextmanager
async def receivers_of(bench: Bench, name: str) -> AsyncIterator[Receivers]:
    """A receiver of webhooks and a mail server, with empty journals."""
    async with receiving(bench, name) as webhooks, mail_server(bench, name) as mails:
        yield Receivers(webhooks, mails)


@asynccontextmanager
async def staffed(bench: Bench, receivers: Receivers) -> AsyncIterator[Place]:
    """An empty place for a block where the people are known, with their addresses at these receivers."""
    platform = await bench.platform()
    async with platform.place() as place:
        staff = county_staff(PEOPLE, receivers.webhooks.base_url)
        await import_people(platform, place, county_villages(PEOPLE), staff)
        yield place


@asynccontextmanager
async def running(bench: Bench, place: Place, receivers: Receivers) -> AsyncIterator[Running]:
    """A notifier that is ready."""
    platform = await bench.platform()
    async with (
        platform.databases.connection(place.database) as connection,
        platform.service("notifier", place, settings={**TELLING, **receivers.mails.settings}) as notifier,
    ):
        await notifier.wait_ready()
        yield Running(place, notifier, connection, receivers)


async def storms(bench: Bench) -> Mapping[Line, Rounds]:
    """In each round a fresh notifier and a storm; the last is waited for until the budgets have let everything out."""
    platform = await bench.platform()
    count = bench.scaled(REDS, least=50)
    changes = await reds(platform.databases, platform.schema, county_villages(PEOPLE), range(count))
    found = []
    for number in range(1, bench.rounds + 1):
        bench.progress.step(f"round {number} of {bench.rounds}")
        is_last = number == bench.rounds
        async with (
            receivers_of(bench, f"storm-{number}") as receivers,
            staffed(bench, receivers) as place,
            running(bench, place, receivers) as one,
        ):
            before = await _size(one)
            began_at = time.time()
            await publish(platform.kafka, place.topic_prefix, changes)
            found.append(await _told(one, count, began_at, to_the_end=is_last))
            grown = await _size(one) - before
    remark = (
        f"{found[-1].messages:,} messages in all, at most {max(one.most_to_one for one in found)} to one person in ten"
        f" minutes (goal {MOST_MESSAGES})"
    )
    return {
        STORM: Rounds([one.seconds for one in found], remark=remark),
        ALERT_BYTES: Rounds([grown / count]),
    }


async def _told(one: Running, count: int, began_at: float, *, to_the_end: bool) -> Told:
    """Wait until each is told to somebody. to_the_end: to everybody who is to hear of it. Raises NotTold."""
    await _until_told(one, count, to_the_end=to_the_end)
    heard = one.receivers.received()
    first = first_heard(heard)
    if len(first) != count:
        raise NotTold(f"of {count} red households {len(first)} are named in a message")
    return Told(
        max(first.values()) - began_at,
        len({(message.staff, message.message_id) for message in heard}),
        most_to_one_person(heard, WINDOW_SECONDS),
    )


async def _until_told(one: Running, count: int, *, to_the_end: bool) -> None:
    deadline = time.monotonic() + STORM_SECONDS
    while True:
        one.notifier.check()
        told, waiting = await one.connection.fetchrow(_TOLD)
        if told == count and not (to_the_end and waiting):
            return
        if time.monotonic() > deadline:
            raise NotTold(
                f"after {STORM_SECONDS:.0f} s {told} of {count} alerts were told, {waiting} deliveries waited"
            )
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def memory(bench: Bench) -> Mapping[Line, Rounds]:
    """Many open alerts are made once; in each round a fresh notifier starts on a copy of them."""
    platform = await bench.platform()
    count, more = bench.scaled(OPEN_ALERTS, least=100), bench.scaled(MORE_REDS, least=10)
    changes = await reds(platform.databases, platform.schema, county_villages(PEOPLE), range(count + more))
    peaks, at_the_end = [], []
    async with receivers_of(bench, "open-alerts") as receivers, staffed(bench, receivers) as place:
        async with running(bench, place, receivers) as one:
            await publish(platform.kafka, place.topic_prefix, changes[:count])
            await _until_passed(bench, one, count)
            while_taken = one.notifier.peak_memory_mb()
        await publish(platform.kafka, place.topic_prefix, changes[count:])
        for number in range(1, bench.rounds + 1):
            bench.progress.step(f"round {number} of {bench.rounds}")
            copy = platform.place(template=place.database, topic_prefix=place.topic_prefix)
            async with copy as again, running(bench, again, receivers) as one:
                await _until_passed(bench, one, count + more)
                await asyncio.sleep(RUN_SECONDS * min(1.0, bench.settings.scale))
                peaks.append(one.notifier.peak_memory_mb())
                at_the_end.append(f"{one.notifier.memory_mb():,.0f}")
    remark = (
        f"at the end {', '.join(at_the_end)} MB; at most {while_taken:,.0f} MB in the one that took {count:,} at once"
    )
    return {MEMORY: Rounds(peaks, remark=remark)}


async def _until_passed(bench: Bench, one: Running, count: int) -> None:
    """Wait until so many changes are taken in. Raises NotTold when nothing moves for two minutes."""
    passed, moved_at = -1, time.monotonic()
    topic = one.place.topic_prefix + GRADE_CHANGES.name
    while passed < count:
        one.notifier.check()
        found = await one.connection.fetchval(_PASSED, CONSUMER_GROUP, topic)
        if found != passed:
            passed, moved_at = found, time.monotonic()
            bench.progress.step(f"alerts: {passed:,} of {count:,}")
        if time.monotonic() - moved_at > STANDSTILL_SECONDS:
            raise NotTold(f"the notifier stands still after {passed:,} of {count:,} changes")
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _size(one: Running) -> int:
    return int(await one.connection.fetchval("SELECT pg_database_size(current_database())"))


MEASUREMENTS = [Measurement([STORM, ALERT_BYTES], storms), Measurement([MEMORY], memory)]
