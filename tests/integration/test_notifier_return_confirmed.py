"""A household that fell back into poverty, from its evidence to its reminders: they recur until it is lifted again.

The grades are the scorer's own, worked out day by day; the reminders are the notifier's, on a real database.
"""

import json
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import Caller
from services.notifier.store.acting import Acts
from shared.alerts import Acknowledgement, Closing, Visit
from shared.clock import SHANGHAI, SettableClock
from shared.db.session import transaction
from shared.db.tables.notifier import alert_message
from shared.grades import RiskGrade
from shared.policy import default_policies
from tests.fakes.climbing import STAFF
from tests.fakes.notifier import VILLAGE, WORDING, Parts, make_change
from tests.rules.histories import enrolment, household_events
from tests.rules.live import LiveHousehold

pytestmark = pytest.mark.integration
CASES = Path(__file__).parents[1] / "rules" / "cases" / "grading_cases.jsonl"
CONFIRMED, LIFTED_AGAIN = "2026-03-20", "2026-09-01"
WEEK = timedelta(days=7)


def history():
    """The case's enrolment and events, each recorded on the day it happened."""
    case = next(case for case in map(json.loads, CASES.read_text("utf-8").splitlines()) if case["id"] == "27")
    events = [{"recorded_on": event["occurred_on"]} | event for event in case["events"]]
    return [
        enrolment(case, date.fromisoformat(case["household"]["enrolled_on"])),
        *household_events(case | {"events": events}),
    ]


def grades(until):
    """The held grade at the end of each day, from the enrolment on."""
    household = LiveHousehold(default_policies())
    events = history()
    day = events[0].recorded_on
    while day <= until:
        if household.ledger:
            household.tick(day)
        for event in events:
            if event.recorded_on == day:
                household.take(event)
        yield day, household.state.grade
        day += timedelta(days=1)


async def reminders(parts):
    """The days on which somebody was reminded of a recurring task."""
    statement = select(alert_message.c.decided_at).where(alert_message.c.reason == "reminder").order_by("decided_at")
    async with transaction(parts.engine) as connection:
        return [at.astimezone(SHANGHAI).date() for at in (await connection.execute(statement)).scalars()]


async def look_after(parts, *, resolve):
    """Let the cadre do all that the alert asks for, and close it if they may."""
    act, cadre = ActOnAlert(Acts(parts.engine), parts.clock, parts.policies, WORDING), Caller("cadre", VILLAGE)
    (alert,) = [one for one in await parts.alerts() if one.status == "open"]
    await act.acknowledge(alert.id, cadre, Acknowledgement())
    await act.visit(alert.id, cadre, Visit(result="relief_given"))
    if resolve:
        await act.resolve(alert.id, cadre, Closing(resolution="measures_done"))


@pytest.mark.parametrize("resolve", [True, False], ids=["resolved by people", "still held"])
async def test_the_tasks_of_a_confirmed_return_recur_each_week_until_the_household_is_lifted_again(engine, resolve):
    clock = SettableClock(datetime.combine(date(2026, 1, 1), time(10), SHANGHAI))
    parts = Parts(engine, clock)
    await parts.people(*STAFF)
    climber, held, version, red_days = parts.new_climber(), None, 0, []
    for day, grade in grades(date(2026, 12, 1)):
        clock.move(datetime.combine(day, time(10), SHANGHAI) - clock.now())
        if grade != held:
            version += 1
            await parts.take(make_change(grade.code, None if held is None else held.code, version=version))
            if grade in (RiskGrade.RED, RiskGrade.ORANGE) and (resolve or held is not RiskGrade.RED):
                await look_after(parts, resolve=resolve)
            held = grade
        while await climber.fire_due():
            pass
        if grade is RiskGrade.RED:
            red_days.append(day)
    assert (red_days[0].isoformat(), red_days[-1].isoformat()) == ("2026-03-02", "2026-09-30")
    days = await reminders(parts)
    assert days[0] - red_days[0] == WEEK
    assert {later - earlier for earlier, later in pairwise(days)} == {WEEK}
    assert days[-1] >= date.fromisoformat(LIFTED_AGAIN) - WEEK
    assert days[-1] <= red_days[-1], "once the household has left red, nobody is reminded"
    assert date.fromisoformat(CONFIRMED) < days[-1]
