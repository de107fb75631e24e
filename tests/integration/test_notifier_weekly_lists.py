"""Weekly lists on a real database: one for each person and week, once, whatever is killed when, and sent till taken."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from sqlalchemy import func, select, text

from services.notifier.console.auth import Passwords
from services.notifier.core.duty import Absence
from services.notifier.core.retries import Attempt
from services.notifier.make_lists import MakeLists
from services.notifier.send_lists import SendLists
from services.notifier.store.lists import Lists
from services.notifier.store.rosters import Rosters
from services.notifier.store.rows import Contact
from shared.alerts import ChannelName
from shared.clock import SHANGHAI, SettableClock
from shared.db.session import transaction
from shared.db.tables.notifier import list_delivery, weekly_list
from shared.policy import Policies, PolicyBook, WeeklyList
from tests.fakes.notifier import (
    OTHER_VILLAGE,
    TOWNSHIP,
    VILLAGE,
    WORDING,
    Parts,
    make_change,
    make_person,
    make_settings,
    policy,
)
from tests.integration.test_notifier_console import House
from tests.integration.test_notifier_simulated_week import Killed, killed_at

pytestmark = pytest.mark.integration
MONDAY = datetime(2026, 3, 2, 8, 30, tzinfo=SHANGHAI).astimezone(UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
BOOKS = (
    "INSERT INTO household_state (household_id, topic_partition, division, alias, status, grade, version,"
    " household_seq, body)"
)


class Postbox:
    """A channel that takes everything, or while `broken` nothing."""

    def __init__(self, name=ChannelName.SMTP):
        self.name, self.taken, self.broken = name, [], False

    async def send(self, address, message, message_id):
        if self.broken:
            return Attempt("connection_refused")
        self.taken.append((address.staff_id, message.subject, message_id))
        return Attempt("sent", receipt="250 OK")

    async def close(self):
        pass


@pytest.fixture
def clock():
    return SettableClock(MONDAY)


@pytest.fixture
async def parts(engine, clock):
    made = Parts(engine, clock)
    await made.people(
        make_person("cadre"),
        make_person("grid", "grid"),
        make_person("other", division=OTHER_VILLAGE),
        make_person("town", "township", TOWNSHIP),
    )
    return made


@pytest.fixture
def postbox():
    return Postbox()


def maker(parts, policies=None):
    return MakeLists(
        Lists(parts.engine),
        policies or parts.policies,
        parts.clock,
        parts.metrics,
        public_url="http://console.test",
        wording=WORDING,
        on_lists=parts.wake,
    )


def sender(parts, *channels, worker="one"):
    return SendLists(channels, Lists(parts.engine), parts.clock, parts.metrics, worker, send_timeout_seconds=15)


async def households(parts, *rows):
    """Put households into the scorer's books: (household_id, division, grade, status)."""
    async with transaction(parts.engine) as connection:
        for household_id, division, grade, status in rows:
            values = {"id": household_id, "division": division, "grade": grade, "status": status}
            await connection.execute(
                text(f"{BOOKS} VALUES (:id, 0, :division, NULL, :status, :grade, 1, 1, '')"), values
            )


BLUE = (
    ("H-1", VILLAGE, 1, "enrolled"),
    ("H-2", VILLAGE, 1, "parked"),
    ("green", VILLAGE, 0, "enrolled"),
    ("yellow", VILLAGE, 2, "enrolled"),
    ("closed", VILLAGE, 1, "closed"),
    ("H-3", OTHER_VILLAGE, 1, "enrolled"),
)


async def stored(parts):
    statement = select(weekly_list).order_by(weekly_list.c.week, weekly_list.c.staff_id)
    async with transaction(parts.engine) as connection:
        rows = (await connection.execute(statement)).all()
    return [(f"{row.week:%m-%d}", row.staff_id, row.told, row.households) for row in rows]


async def test_each_cadre_gets_the_blue_households_of_their_village_on_monday_morning(parts, clock, postbox):
    await households(parts, *BLUE)
    clock.move(-timedelta(seconds=1))
    assert await maker(parts).make_due() == 0
    clock.move(timedelta(seconds=1))
    assert await maker(parts).make_due() == 2
    assert await stored(parts) == [("03-02", "cadre", "cadre", 2), ("03-02", "other", "other", 1)]
    assert await sender(parts, postbox).send_due() == 2
    assert [(who, subject) for who, subject, _ in sorted(postbox.taken)] == [
        ("cadre", "【守望】每周名单 某村 2户"),
        ("other", "【守望】每周名单 别村 1户"),
    ]
    async with transaction(parts.engine) as connection:
        (said,) = (
            await connection.execute(select(weekly_list.c.text).where(weekly_list.c.staff_id == "cadre"))
        ).scalars()
    assert [line for line in said.splitlines() if line.startswith("●")][:2] == [
        "● H-1 蓝色·常态关注",
        "● H-2 蓝色·常态关注",
    ]
    assert await sender(parts, postbox).send_due() == 0


async def test_an_empty_list_is_not_sent_and_not_made_again(parts, postbox):
    assert await maker(parts).make_due() == 2
    assert await maker(parts).make_due() == 0
    assert [line[2:] for line in await stored(parts)] == [("cadre", 0), ("other", 0)]
    assert await sender(parts, postbox).send_due() == 0
    assert parts.metric("weekly_lists_total", outcome="empty") == 2


async def test_there_is_one_list_a_week_and_none_for_a_week_that_is_nearly_over(parts, clock, postbox):
    await households(parts, *BLUE)
    for _ in range(15):
        await maker(parts).make_due()
        clock.move(timedelta(days=1))
    assert [line[:2] for line in await stored(parts)] == [
        (week, who) for week in ("03-02", "03-09", "03-16") for who in ("cadre", "other")
    ]
    clock.move(WEEK + timedelta(days=1))
    assert await maker(parts).make_due() == 0


async def test_a_list_is_made_once_whatever_is_killed_when_and_by_however_many(parts, postbox):
    await households(parts, *BLUE)
    kills = 0
    for number in count(1):
        with killed_at(parts.engine, number):
            try:
                # A new one each time: what a process knew has died with it.
                await maker(parts).make_due()
                break
            except Killed:
                kills += 1
    assert kills >= 8
    await asyncio.gather(*(maker(parts).make_due() for _ in range(4)))
    assert len(await stored(parts)) == 2
    assert parts.metric("weekly_lists_total", outcome="made") == 2


async def test_four_makers_at_once_make_each_list_once(parts):
    await households(parts, *BLUE)
    made = await asyncio.gather(*(maker(parts).make_due() for _ in range(4)))
    assert sum(made) == 2
    async with transaction(parts.engine) as connection:
        assert (await connection.execute(select(func.count()).select_from(list_delivery))).scalar_one() == 2


async def test_a_list_that_was_sent_by_a_sender_that_died_goes_out_again_under_the_same_id(parts, clock, postbox):
    await households(parts, *BLUE[:1])
    await maker(parts).make_due()

    class Dying(Postbox):
        async def send(self, address, message, message_id):
            await super().send(address, message, message_id)
            raise asyncio.CancelledError

    dying = Dying()
    with pytest.raises(asyncio.CancelledError):
        await sender(parts, dying).send_due()
    assert await sender(parts, postbox, worker="two").send_due() == 0
    clock.move(timedelta(seconds=31))
    assert await sender(parts, postbox, worker="two").send_due() == 1
    assert [line[2] for line in dying.taken] == [line[2] for line in postbox.taken]


async def test_a_list_is_tried_again_while_the_relay_is_away_and_given_up_after_a_day(parts, clock, postbox):
    await households(parts, *BLUE[:1])
    await maker(parts).make_due()
    postbox.broken = True
    tries = 0
    for _ in range(60):
        tries += await sender(parts, postbox).send_due()
        clock.move(HOUR / 2 + timedelta(minutes=4))
    assert tries > 20
    async with transaction(parts.engine) as connection:
        assert (await connection.execute(select(list_delivery.c.status))).scalars().all() == ["failed"]


async def test_alerts_go_before_lists_by_the_same_way(parts, postbox):
    await households(parts, *BLUE[:1])
    await maker(parts).make_due()
    await parts.take(make_change("red"))
    assert await sender(parts, postbox).send_due() == 0
    async with transaction(parts.engine) as connection:
        await connection.execute(text("UPDATE delivery SET status = 'sent', sent_at = now()"))
    assert await sender(parts, postbox).send_due() == 1


async def test_who_stands_in_for_a_cadre_gets_their_list_and_without_anybody_it_is_over(parts, clock):
    await households(parts, *BLUE)
    rosters = Rosters(parts.engine)
    await rosters.add_absence(Absence("cadre", MONDAY - HOUR, MONDAY + WEEK, "town"))
    await rosters.add_absence(Absence("other", MONDAY - HOUR, MONDAY + WEEK))
    await maker(parts).make_due()
    assert await stored(parts) == [("03-02", "cadre", "town", 2), ("03-02", "other", None, 1)]
    assert parts.metric("weekly_lists_total", outcome="no_channel") == 1


async def test_a_list_goes_by_all_ways_but_a_text_message(engine, clock):
    parts = Parts(engine, clock)
    await parts.people(
        make_person("cadre", webhook_url="https://hook.example/x", contacts=(Contact(ChannelName.ALIYUN_SMS, "138"),))
    )
    await households(parts, *BLUE[:1])
    await maker(parts).make_due()
    channels = [Postbox(name) for name in (ChannelName.SMTP, ChannelName.WEBHOOK, ChannelName.ALIYUN_SMS)]
    await sender(parts, *channels).send_due()
    assert [len(channel.taken) for channel in channels] == [1, 1, 0]


async def test_a_county_with_a_list_of_its_own_is_not_listed_by_the_nations(parts, clock):
    await households(parts, *BLUE)
    own = policy().model_copy(
        update={
            "name": "county",
            "division_prefix": OTHER_VILLAGE,
            "weekly_list": WeeklyList(weekday=1, at="10:00", routing={"blue": ["cadre", "grid"]}),
        }
    )
    policies = Policies([PolicyBook([own])], PolicyBook([policy()]))
    await maker(parts, policies).make_due()
    assert [line[1] for line in await stored(parts)] == ["cadre"]
    clock.move(2 * HOUR)
    await maker(parts, policies).make_due()
    assert [line[1] for line in await stored(parts)] == ["cadre", "other"]


@pytest.fixture(scope="module")
def passwords():
    made = Passwords()
    yield made
    made.close()


async def test_the_lists_page_shows_the_households_of_ones_own_village_as_they_are_now(engine, passwords):
    house = House(
        engine, SettableClock(MONDAY), make_settings(), passwords, await passwords.hash("correct horse battery")
    )
    await house.keys.refresh()
    await house.fill()
    await households(house.parts, *BLUE, ("H-2x", VILLAGE, 1, "enrolled"))
    async with house.log_in("cadre-1") as client, house.client() as nobody:
        shown = (await client.get("/list")).text
        assert [one in shown for one in ("H-1", "H-2x", "yellow", "H-3")] == [True, True, False, False]
        assert (await nobody.get("/list")).headers["location"] == "/login?next=%2Flist"
