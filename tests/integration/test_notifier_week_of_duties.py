"""A week with a night alarm, a day off, a cadre who is away and people who forget, down to the mails that arrive.

Everything runs but Kafka: changes of grade, people's acts, the climber, and mail over real SMTP. The clock is the
test's. Each of them is also killed before each of its statements, and the mails stay the same.
"""

import re
from contextlib import contextmanager, suppress
from datetime import date, datetime, time, timedelta
from itertools import count

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import Caller
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.core.duty import Absence, Duty
from services.notifier.store.acting import Acts
from services.notifier.store.rosters import DutyRow, HolidayRow, Rosters
from shared.alerts import Acknowledgement, Visit
from shared.bus.ports import PartitionBatch
from shared.clock import SHANGHAI, SettableClock
from tests.fakes.climbing import HOUR, NIGHT
from tests.fakes.notifier import (
    COUNTY,
    OTHER_VILLAGE,
    PARTITION,
    PROVINCE,
    TOWNSHIP,
    VILLAGE,
    WORDING,
    Parts,
    deliver_all,
    make_change,
    make_person,
    make_settings,
)
from tests.fakes.smtp_receiver import smtp_receiver

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
STAFF = (
    make_person("cadre"),
    make_person("grid", "grid"),
    make_person("team", "village_team"),
    make_person("town-weekday", "township", TOWNSHIP),
    make_person("town-weekend", "township", TOWNSHIP),
    make_person("county", "county", COUNTY),
    make_person("duty", "duty_officer", PROVINCE),
    make_person("elsewhere", "cadre", OTHER_VILLAGE),
)
VILLAGE_WITHOUT_CADRE = "990100101299"
MONDAY, SUNDAY = date(2026, 3, 2), date(2026, 3, 8)
WEDNESDAY = date(2026, 3, 4)
# Hours are counted from Monday, 23:30. Wednesday is a day off; the cadre is away from Tuesday noon to Thursday noon.
STORY = [
    (0, "night", "red", VILLAGE),
    (1, "night", "acknowledge", "cadre"),
    (34, "day-off", "red", VILLAGE),
    (37, "night", "acknowledge", "grid"),
    (38, "night", "visit", "grid"),
    (47, "day-off", "acknowledge", "county"),
    (48, "day-off", "visit", "county"),
    (60, "forgotten", "red", VILLAGE),
    (97, "forgotten", "acknowledge", "cadre"),
    (98, "forgotten", "visit", "cadre"),
    (107, "weekend", "yellow", VILLAGE_WITHOUT_CADRE),
]
ALL = ("cadre", "county", "grid", "team", "town-weekday")
TIMETABLE = [
    (0, "night", "opened", ALL),
    # Its owner did not go there: all hear of it, the owner too, who is away by now.
    (24, "night", "overdue_visit", ALL),
    # On the day off the weekend's people are at their post; the team stands in for the cadre, and is meant anyway.
    (34, "day-off", "opened", ("county", "grid", "team", "town-weekend")),
    (36, "day-off", "overdue", ("town-weekend",)),
    (36, "night", "overdue", ("county",)),
    (46, "day-off", "overdue", ("county",)),
    (60, "forgotten", "opened", ("county", "grid", "team", "town-weekday")),
    (62, "forgotten", "overdue", ("town-weekday",)),
    (72, "forgotten", "overdue", ("county",)),
    (84, "forgotten", "overdue_visit", ALL),
    (96, "forgotten", "overdue", ("county",)),
    (107, "weekend", "opened", ("town-weekend",)),
]
HOURS = 110
EVENTFUL = {hour for hour, *_ in (*STORY, *TIMETABLE)}
SIGNS = {"（超时未签收）": "overdue", "（超期未入户）": "overdue_visit"}


class Killed(Exception):
    """Stands for the end of the process at some statement."""


class Week:
    """The notifier on the test's database, its people, and the relay that their mail goes to."""

    def __init__(self, engine, relay):
        self.clock = SettableClock(NIGHT)
        self.parts = Parts(engine, self.clock, make_settings(smtp_port=relay.port))
        self.relay = relay
        self.kills = 0
        self._versions = count(1)

    async def prepare(self):
        await self.parts.people(*STAFF)
        rosters = Rosters(self.parts.engine)
        turns = (("town-weekday", (1, 2, 3, 4, 5)), ("town-weekend", (6, 7)))
        lines = [Duty(who, "township", TOWNSHIP, MONDAY, SUNDAY, time(), time(), days) for who, days in turns]
        await rosters.save_duties([DutyRow(line) for line in lines])
        await rosters.save_holidays([HolidayRow(WEDNESDAY, "节日", False)])
        noon = time(12)
        begins, ends = (datetime.combine(MONDAY + timedelta(days=days), noon, SHANGHAI) for days in (1, 3))
        await rosters.add_absence(Absence("cadre", begins, ends, "team"))

    async def run(self, do):
        """Let the hours pass; `do` does one step of the work. Return the mails by hour."""
        seen, timetable = set(), []
        for hour in range(HOURS):
            self.clock.move(NIGHT + hour * HOUR - self.clock.now())
            for at, household, what, who in STORY:
                if at == hour:
                    await do(await self.step(household, what, who))
            await do(self.climb)
            await do(self.deliver)
            timetable += [(hour, *line) for line in self.new_mails(seen)]
        return timetable

    async def step(self, household, what, who):
        """What happens next in the story, to be tried as often as it takes."""
        if what in ("red", "yellow"):
            change = make_change(what, household_id=household, division=who, version=next(self._versions))
            records = [self.parts.record(change)]

            async def take():
                handler = self.parts.new_handler("one")
                await handler.handle(PartitionBatch(PARTITION, await handler.claim(PARTITION), records))

            return take
        (alert,) = await self.parts.alerts(household_id=household)
        person = next(one for one in STAFF if one.staff_id == who)
        caller = Caller(who, person.division.rstrip("0") if person.role == "county" else VILLAGE)

        async def act():
            acts = ActOnAlert(Acts(self.parts.engine), self.clock, self.parts.policies, WORDING)
            if what == "visit":
                await acts.visit(alert.id, caller, Visit(result="stable"))
            else:
                await acts.acknowledge(alert.id, caller, Acknowledgement())

        return act

    async def climb(self):
        while await self.parts.new_climber().fire_due():
            pass

    async def deliver(self):
        channel = SmtpChannel(self.parts.settings, self.clock)
        await deliver_all(self.parts.lane(channel, f"worker-{self.kills}"))
        await channel.close()

    def new_mails(self, seen):
        """Who got what since the last look, by household and reason; a repeat under the same id is no new mail."""
        told = {}
        for mail in self.relay.mails:
            if mail["Message-ID"] in seen:
                continue
            seen.add(mail["Message-ID"])
            household = re.search(r"^户：(\S+)", mail.get_content(), re.MULTILINE)[1]
            reason = next((reason for sign, reason in SIGNS.items() if sign in mail["Subject"]), "opened")
            told.setdefault((household, reason), []).append(mail["To"].partition("@")[0])
        return sorted((*key, tuple(sorted(people))) for key, people in told.items())

    async def until_whole(self, work):
        """Do a piece of work, killed before its first statement, then before its second, until none is left."""
        if (self.clock.now() - NIGHT) // HOUR not in EVENTFUL:
            await work()
            return
        for number in count(1):
            with killed_at(self.parts.engine, number) as hits, suppress(Killed):
                await work()
            if not hits:
                return
            self.kills += 1
            if work == self.deliver:
                # What a dead worker had leased is free after this.
                self.clock.move(timedelta(seconds=self.parts.settings.lease_seconds + 1))


@contextmanager
def killed_at(engine, number):
    """Fail instead of executing the statement of this number, counted from 1; a commit counts as one."""
    executed, hits = count(1), []

    def step(*_):
        if next(executed) == number:
            hits.append(number)
            raise Killed

    event.listen(engine.sync_engine, "before_cursor_execute", step)
    event.listen(engine.sync_engine, "commit", step)
    try:
        yield hits
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", step)
        event.remove(engine.sync_engine, "commit", step)


@pytest.fixture
async def week(engine):
    async with smtp_receiver() as relay:
        made = Week(engine, relay)
        await made.prepare()
        yield made


async def test_the_mails_of_the_week_are_exactly_those_of_the_timetable(week):
    async def do(work):
        await work()

    assert await week.run(do) == TIMETABLE
    assert len(week.relay.mails) == sum(len(people) for *_, people in TIMETABLE)


async def test_the_week_is_the_same_when_everything_is_killed_between_any_two_of_its_steps(week):
    # Each kill inside a task is logged with its traceback, which takes longer than all the rest.
    with capture_logs():
        assert await week.run(week.until_whole) == TIMETABLE
    assert week.kills > 10 * len(EVENTFUL), "each step has many statements, and was killed before each of them"
    repeats = len(week.relay.mails) - sum(len(people) for *_, people in TIMETABLE)
    assert repeats > 0, "a worker that dies after sending sends again, under the same id"
