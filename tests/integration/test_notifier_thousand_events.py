"""A thousand random events on one household in a day: nobody hears of it more often than the cap says, and all of red.

Several such households at once, each drawn from a seed of its own, through the scorer's core, the notifier's whole
drafting on a real database, and its lanes; only the channels are played. Channels fail now and then, people act as they
like, and the notifier's tasks take turns at random.
"""

from collections import defaultdict
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

import pytest
from sqlalchemy import func, or_, select

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import Caller
from services.notifier.core.climbing import BEGINS
from services.notifier.core.holding import INHIBITED, SUPERSEDED
from services.notifier.core.retries import Attempt
from services.notifier.release import Release
from services.notifier.store.acting import Acts
from services.notifier.store.releasing import Releasing
from shared.alerts import ENDINGS, UNDER_WAY, Acknowledgement, ChannelName, Closing, Reopening, Visit
from shared.clock import SHANGHAI, SettableClock
from shared.db.session import transaction
from shared.db.tables.notifier import alert, delivery, digest
from shared.errors import RefusedRequest
from shared.grades import RiskGrade
from tests.fakes.notifier import COUNTY, TOWNSHIP, WORDING, Parts, deliver_all, make_person
from tests.fakes.random_day import RandomHousehold
from tests.told import read_mail, read_webhook

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
SEEDS = range(4)
EVENTS = 1_000
STEPS = 200
MOST = 5
MIDNIGHT = datetime(2026, 3, 2, tzinfo=SHANGHAI)
DAY, STEP = timedelta(days=1), timedelta(days=1) / STEPS
OTHER_DEVICE = "https://hook.example/x"


class Heard(NamedTuple):
    """One telling as it came: when, by which message, of which revision of an alert opened when, and what it says."""

    at: datetime
    channel: ChannelName
    message_id: str
    opened_at: datetime
    alert_id: str
    revision: int
    says: str


class Devices:
    """What people got of each household, by all channels."""

    def __init__(self, parts, dice):
        self.parts, self.dice = parts, dice
        self.got = defaultdict(list)
        self._came = {}

    def take(self, channel, staff_id, message_id, message):
        """A message came; which telling each household in it stands for is asked for by `look`."""
        said = read_webhook(message.body) if channel is ChannelName.WEBHOOK else read_mail(message.text)
        self._came.setdefault((channel, staff_id, message_id), (self.parts.clock.now(), said))

    async def look(self):
        """Note what came since the last time."""
        rows = await self._tellings({message_id for _, _, message_id in self._came})
        for (channel, staff_id, message_id), (at, said) in self._came.items():
            tellings = rows[message_id]
            # Each message names what was put into it and nothing else.
            assert sorted(one.alert_id for one in said.alerts) == sorted(one.alert_id for one in tellings)
            for one in tellings:
                says = "over" if one.reason in ENDINGS else RiskGrade(one.grade).code
                heard = Heard(at, channel, message_id, one.opened_at, one.alert_id, one.revision, says)
                self.got[staff_id, one.household_id].append(heard)
        self._came.clear()

    async def _tellings(self, message_ids):
        message_id = func.coalesce(digest.c.message_id, delivery.c.message_id).label("id")
        columns = [delivery.c[name] for name in ("alert_id", "revision", "grade", "reason")]
        statement = (
            select(message_id, alert.c.household_id, alert.c.opened_at, *columns)
            .join(alert, alert.c.alert_id == delivery.c.alert_id)
            .outerjoin(digest, digest.c.digest_id == delivery.c.digest_id)
            .where(or_(digest.c.message_id.in_(message_ids), delivery.c.message_id.in_(message_ids)))
        )
        found = defaultdict(list)
        async with transaction(self.parts.engine) as connection:
            for row in await connection.execute(statement):
                found[row.id].append(row)
        return found

    def last_word(self, staff_id, household_id):
        """What the newest telling says that the person has of a household."""
        newest = max(self.got[staff_id, household_id], key=lambda one: (one.opened_at, one.revision), default=None)
        return newest and newest.says

    def most_in_a_day(self, what, channels=tuple(ChannelName)):
        """The most that one person had of one household by some channels in any 24 hours."""
        return max(
            len({what(one) for one in heard if until.at - DAY < one.at <= until.at and one.channel in channels})
            for heard in self.got.values()
            for until in heard
        )


class Flaky:
    """A channel that takes most messages."""

    def __init__(self, name, devices):
        self.name, self.devices = name, devices

    async def send(self, address, message, message_id):
        chance = self.devices.dice.random()
        if chance < 0.08:
            return Attempt("connection_refused")
        self.devices.take(self.name, address.staff_id, message_id, message)
        # Some answers get lost on the way back: the message is there, and goes out again under the same id.
        return Attempt("timeout") if chance < 0.12 else Attempt("sent", receipt="taken")

    async def close(self):
        pass


class Home(NamedTuple):
    """A household with the two villages between which it moves."""

    household: RandomHousehold
    villages: tuple[str, str]


def staff(homes):
    """For each village its own people, some with two ways to be told; above them all one township and one county."""
    for home in homes:
        for code in home.villages:
            yield make_person(f"cadre-{code}", division=code, webhook_url=OTHER_DEVICE)
            yield make_person(f"grid-{code}", "grid", code)
            yield make_person(f"team-{code}", "village_team", code, email=None, webhook_url=OTHER_DEVICE)
    yield make_person("town", "township", TOWNSHIP)
    yield make_person("county", "county", COUNTY, webhook_url=OTHER_DEVICE)


async def act_somehow(parts, act, dice):
    """Let somebody do something with some alert, if it can be done."""
    async with transaction(parts.engine) as connection:
        ids = (await connection.execute(select(alert.c.alert_id).order_by(alert.c.alert_id))).scalars().all()
    if not ids:
        return
    alert_id, who = dice.choice(ids), Caller(dice.choice(("town", "county")), "")
    deeds = (
        lambda: act.acknowledge(alert_id, who, Acknowledgement(take_over=True)),
        lambda: act.visit(alert_id, who, Visit(result="relief_given")),
        lambda: act.resolve(alert_id, who, Closing(resolution="measures_done")),
        lambda: act.reopen(alert_id, who, Reopening(note="again")),
    )
    with suppress(RefusedRequest):
        await dice.choice(deeds)()


async def red_untold(parts, devices, told_red):
    """Tellings of alerts that are red now whose people have another last word, with nothing on its way to them.

    What was told before the alert became red for the last time does not count: that household may have moved since.
    told_red: filled with those whose last word red is. Whom somebody's act has spared the message is left out.
    """
    red_now = select(alert.c.alert_id, alert.c.household_id).where(alert.c.grade == 4, alert.c.status.in_(UNDER_WAY))
    async with transaction(parts.engine) as connection:
        alerts = {row.alert_id: row.household_id for row in await connection.execute(red_now)}
        rows = (await connection.execute(select(delivery).where(delivery.c.alert_id.in_(alerts)))).all()
    spared = {
        (row.alert_id, row.staff_id)
        for row in rows
        if (row.status == "pending" and (row.held is None or row.held_until is not None))
        or (row.status == "suppressed" and row.detail not in (SUPERSEDED, INHIBITED))
    }
    began = {}
    for row in rows:
        if row.grade == 4 and row.reason in BEGINS:
            began[row.alert_id] = max(row.revision, began.get(row.alert_id, 0))
    wrong = []
    for row in rows:
        is_red = row.grade == 4 and row.revision >= began[row.alert_id]
        if is_red and (row.alert_id, row.staff_id) not in spared:
            if devices.last_word(row.staff_id, alerts[row.alert_id]) == "red":
                told_red.add((row.alert_id, row.staff_id))
            else:
                wrong.append((row.alert_id, row.revision, row.staff_id, row.channel, row.status, row.held, row.detail))
    return wrong


async def test_a_thousand_events_on_a_household_in_a_day_cost_nobody_more_than_five_messages(engine):
    clock, dice = SettableClock(MIDNIGHT), Random(1)
    parts = Parts(engine, clock)
    devices = Devices(parts, dice)
    codes = await parts.villages(2 * len(SEEDS))
    homes = []
    for seed in SEEDS:
        villages = (codes[2 * seed], codes[2 * seed + 1])
        homes.append(Home(RandomHousehold(f"H-{seed}", Random(seed), parts.policies, villages), villages))
    await parts.directory.save_staff(list(staff(homes)))
    lanes = [parts.lane(Flaky(name, devices)) for name in (ChannelName.SMTP, ChannelName.WEBHOOK)]
    release = Release(Releasing(engine), parts.policies, clock, parts.wake)
    act = ActOnAlert(Acts(engine), clock, parts.policies, WORDING)
    told_red, changes = set(), 0
    await parts.take(*(change for home in homes for change in home.household.enrol(clock.now())))
    for step in range(STEPS + STEPS // 2):
        if step < STEPS:
            made = [
                change
                for home in homes
                for _ in range(EVENTS // STEPS)
                for change in home.household.happens(clock.now())
            ]
            changes += len(made)
            if made:
                await parts.take(*made)
        turns = [parts.new_climber().fire_due, release.release_due, lambda: act_somehow(parts, act, dice)]
        for turn in dice.sample(turns, len(turns)):
            await turn()
        for lane in lanes:
            await deliver_all(lane)
        await devices.look()
        assert await red_untold(parts, devices, told_red) == []
        clock.move(STEP if step < STEPS else 4 * STEP)
    assert all(home.household.events == EVENTS for home in homes)
    # By whatever channels it goes, a telling is one; and by each channel it is one message.
    assert devices.most_in_a_day(lambda one: (one.alert_id, one.revision)) == MOST
    for lane in lanes:
        assert devices.most_in_a_day(lambda one: one.message_id, [lane.name]) <= MOST
    # The day was as wild as it was meant to be.
    assert changes > 50 * len(homes) and len(told_red) > 30
    assert parts.metric("held_tellings_total", reason="daily_cap") > 300
    assert parts.metric("held_tellings_total", reason="quiet_hours") > 20
