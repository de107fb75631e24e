"""A simulated week on a real database, compared with a timetable of who is told what and when, written by hand."""

import asyncio
from contextlib import contextmanager
from itertools import count

import pytest
from sqlalchemy import event

from shared.clock import SettableClock
from tests.fakes.climbing import ACTS, ALL, FIRST_FOUR, HOUR, NIGHT, STAFF, act, told
from tests.fakes.notifier import Parts, make_change

pytestmark = pytest.mark.integration
STORY = [
    # hour, household, grade that it takes or what somebody does, who
    (0, "forgotten", "red", None),
    (1, "not-visited", "red", None),
    (1, "worsening", "yellow", None),
    (2, "not-visited", "acknowledge", "cadre"),
    (5, "worsening", "acknowledge", "grid"),
    (10, "orange", "orange", None),
    (30, "cared-for", "red", None),
    (31, "cared-for", "acknowledge", "team"),
    (38, "not-visited", "acknowledge", "town"),
    (40, "not-visited", "visit", None),
    (40, "cared-for", "visit", None),
    (50, "forgotten", "resolve", None),
    (60, "cared-for", "orange", None),
    (100, "worsening", "red", None),
    (103, "worsening", "acknowledge", "grid"),
    (110, "worsening", "visit", None),
    (120, "worsening", "resolve", None),
]
TIMETABLE = [
    (0, "forgotten", "opened", ALL),
    (1, "not-visited", "opened", ALL),
    (1, "worsening", "opened", ("cadre", "grid")),
    (2, "forgotten", "overdue", ("town",)),
    (10, "orange", "opened", FIRST_FOUR),
    (12, "forgotten", "overdue", ("county",)),
    (24, "forgotten", "overdue_visit", ALL),
    (25, "not-visited", "overdue_visit", ALL),
    (30, "cared-for", "opened", ALL),
    (36, "forgotten", "overdue", ("county",)),
    (37, "not-visited", "overdue", ("county",)),
    (48, "forgotten", "overdue_visit", ALL),
    (82, "orange", "overdue_visit", FIRST_FOUR),
    (100, "worsening", "grade_worse", ALL),
    (102, "worsening", "overdue", ("town",)),
    (154, "orange", "overdue_visit", FIRST_FOUR),
    (168, "forgotten", "reminder", ("cadre",)),
    (169, "not-visited", "reminder", ("town",)),
]
DAYS = 8


class Killed(Exception):
    """Stands for the end of the process at some statement."""


@pytest.fixture
def clock():
    return SettableClock(NIGHT)


@pytest.fixture
async def parts(engine, clock):
    made = Parts(engine, clock)
    await made.people(*STAFF)
    return made


async def tell_story(parts, hour, versions):
    for at, household, what, who in STORY:
        if at != hour:
            continue
        if what in ACTS:
            await act(parts, household, what, who)
        else:
            version = versions[household] = versions.get(household, 0) + 1
            before = {"worsening": "yellow", "cared-for": "red"}.get(household) if version > 1 else "green"
            await parts.take(make_change(what, before, household_id=household, version=version))


async def week(parts, clock, climb):
    """Let eight days pass, hour by hour; `climb` makes the passes of the climber that become due within an hour."""
    versions = {}
    for hour in range(24 * DAYS + 1):
        await tell_story(parts, hour, versions)
        await climb()
        clock.move(HOUR)


@contextmanager
def killed_at(engine, number):
    """Fail instead of executing the statement of this number, counted from 1; a commit counts as one."""
    executed = count(1)

    def step(*_):
        if next(executed) == number:
            raise Killed

    event.listen(engine.sync_engine, "before_cursor_execute", step)
    event.listen(engine.sync_engine, "commit", step)
    try:
        yield
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", step)
        event.remove(engine.sync_engine, "commit", step)


async def test_in_a_simulated_week_everybody_is_told_exactly_what_the_timetable_says(parts, clock):
    climber = parts.new_climber()

    async def climb():
        while await climber.fire_due():
            pass

    await week(parts, clock, climb)
    assert await told(parts) == TIMETABLE
    assert parts.metric("hops_total", role="township") == 2
    assert parts.metric("hops_total", role="county") == 3
    assert parts.metric("timers_total", effect="overdue_visit") == 5
    assert parts.metric("climbing_faults_total") == 0


async def test_a_climber_killed_before_any_of_its_statements_changes_nothing_in_the_timetable(parts, clock):
    kills = []

    async def climb():
        while True:
            for number in count(1):
                with killed_at(parts.engine, number):
                    try:
                        # A new one each time: what a process knew has died with it.
                        fired = await parts.new_climber().fire_due()
                        break
                    except Killed:
                        kills.append(number)
            if not fired:
                return

    await week(parts, clock, climb)
    assert await told(parts) == TIMETABLE
    # One hop is nine statements at least: lock, read (2), write (5), commit.
    assert max(kills) >= 9
    assert len(kills) > 24 * DAYS


async def test_two_climbers_at_once_make_each_hop_once(parts, clock):
    one, two = parts.new_climber(), parts.new_climber()

    async def climb():
        while any(await asyncio.gather(one.fire_due(), two.fire_due())):
            pass

    await week(parts, clock, climb)
    assert await told(parts) == TIMETABLE
