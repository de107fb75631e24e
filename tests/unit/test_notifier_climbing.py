"""What time alone does to an alert: hops, overdue visits and reminders, each at its instant and once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.notifier.core.alerting import deadlines
from services.notifier.core.climbing import Effect, Standing, fire, next_timer, waited_for
from services.notifier.core.retries import is_given_up, still_wanted
from services.notifier.core.routing import RoutedAs, StaffMember, climb
from shared.alerts import AlertStatus, ChannelName, SendReason
from shared.grades import RiskGrade
from tests.fakes.notifier import COUNTY, NOW, OTHER_VILLAGE, PROVINCE, TOWNSHIP, VILLAGE, WORDING, policy

OPEN, ACKNOWLEDGED, VISITED = AlertStatus.OPEN, AlertStatus.ACKNOWLEDGED, AlertStatus.VISITED
RED, ORANGE, YELLOW, BLUE = RiskGrade.RED, RiskGrade.ORANGE, RiskGrade.YELLOW, RiskGrade.BLUE
NOTHING, CLIMBED = Effect.NOTHING, Effect.CLIMBED
OVERDUE_VISIT, REMINDED = Effect.OVERDUE_VISIT, Effect.REMINDED
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def standing(status=OPEN, grade=RED, climbed=0, *, acknowledged=None, visited=None, hop_failed=None, plan=False):
    """An alert told at NOW; acknowledged, visited, hop_failed: after so many hours."""
    due = deadlines(grade, policy(), NOW, WORDING)

    def at(hours):
        return None if hours is None else NOW + hours * HOUR

    return Standing(
        status,
        grade,
        NOW,
        climbed,
        due.visit_by,
        acknowledged_at=at(acknowledged),
        visited_at=at(visited),
        plan=due.plan if plan else (),
        hop_failed_at=at(hop_failed),
    )


TABLE = [
    # a red alert climbs at 2 h and 12 h while nobody takes it on; its visit is due at 24 h
    (standing(), 2, CLIMBED, "township"),
    (standing(climbed=1), 12, CLIMBED, "county"),
    (standing(climbed=2), 24, OVERDUE_VISIT, None),
    (standing(ACKNOWLEDGED, acknowledged=1), 24, OVERDUE_VISIT, None),
    (standing(ACKNOWLEDGED, climbed=1, acknowledged=3), 24, OVERDUE_VISIT, None),
    # an acknowledgement from before it became this bad answers nothing, and neither does a visit
    (standing(ACKNOWLEDGED, acknowledged=-1), 2, CLIMBED, "township"),
    (standing(VISITED, acknowledged=-2, visited=-1), 2, CLIMBED, "township"),
    (standing(VISITED, acknowledged=1, visited=-1), 24, OVERDUE_VISIT, None),
    (standing(VISITED, acknowledged=1, visited=2), None, NOTHING, None),
    # whoever went there has answered too
    (standing(VISITED, acknowledged=-1, visited=1), None, NOTHING, None),
    # a hop that reached nobody brings the next one forward, and never puts it off
    (standing(climbed=1, hop_failed=3), 3, CLIMBED, "county"),
    (standing(climbed=1, hop_failed=13), 12, CLIMBED, "county"),
    (standing(climbed=2, hop_failed=3), 24, OVERDUE_VISIT, None),
    (standing(ACKNOWLEDGED, climbed=1, acknowledged=2, hop_failed=3), 24, OVERDUE_VISIT, None),
    # milder grades climb to nobody, but their visit falls due
    (standing(grade=ORANGE), 72, OVERDUE_VISIT, None),
    (standing(ACKNOWLEDGED, ORANGE, acknowledged=1), 72, OVERDUE_VISIT, None),
    (standing(grade=YELLOW), 168, OVERDUE_VISIT, None),
    # a grade that nobody is told of, and closed alerts, are left in peace
    (replace(standing(), grade=BLUE), None, NOTHING, None),
    (standing(AlertStatus.RESOLVED), None, NOTHING, None),
    (standing(AlertStatus.WITHDRAWN), None, NOTHING, None),
    # the plan's weekly visit is due as long as the household is red, also once it was visited
    (standing(VISITED, acknowledged=1, visited=2, plan=True), 168, REMINDED, None),
    (replace(standing(VISITED, acknowledged=1, visited=2, plan=True), grade=ORANGE), None, NOTHING, None),
    # ... and after people have resolved the alert: only the grade ends it
    (standing(AlertStatus.RESOLVED, plan=True), 168, REMINDED, None),
    (replace(standing(AlertStatus.RESOLVED, plan=True), grade=ORANGE), None, NOTHING, None),
    (standing(AlertStatus.WITHDRAWN, plan=True), None, NOTHING, None),
    # an alert whose timetable never began, as an earlier release wrote it
    (replace(standing(), climb_from=None), None, NOTHING, None),
]


@pytest.mark.parametrize(("given", "hours", "effect", "to"), TABLE)
def test_time_does_one_thing_at_its_instant_and_nothing_before(given, hours, effect, to):
    if hours is None:
        assert next_timer(given, policy()) is None
        assert fire(given, policy(), NOW + timedelta(days=999)).effect is NOTHING
        return
    due = NOW + hours * HOUR
    assert next_timer(given, policy()) == due
    early = fire(given, policy(), due - timedelta(microseconds=1))
    assert (early.effect, early.standing) == (NOTHING, given)
    firing = fire(given, policy(), due)
    assert (firing.effect, firing.to) == (effect, to)
    assert next_timer(firing.standing, policy()) != due or firing.standing.climbed > given.climbed


def test_after_a_standstill_what_is_due_happens_one_at_a_time_in_order():
    at, now, seen = standing(plan=True), NOW + 200 * HOUR, []
    while (firing := fire(at, policy(), now)).effect is not NOTHING:
        seen.append((firing.effect, firing.to))
        at = firing.standing
    assert seen == [(CLIMBED, "township"), (CLIMBED, "county"), (OVERDUE_VISIT, None), (REMINDED, None)]
    assert next_timer(at, policy()) == now + 12 * HOUR


def test_an_overdue_visit_opens_the_alert_again_and_climbs_on_from_the_first_hop():
    due = NOW + 25 * HOUR
    firing = fire(standing(ACKNOWLEDGED, acknowledged=1), policy(), due)
    assert firing.roles == ("cadre", "grid", "village_team", "township", "county")
    after = firing.standing
    assert (after.status, after.acknowledged_at, after.climb_from, after.climbed) == (OPEN, None, due, 1)
    assert after.visit_by == NOW + 24 * HOUR
    hop = fire(after, policy(), due + 12 * HOUR)
    assert (hop.effect, hop.to) == (CLIMBED, "county")
    assert next_timer(hop.standing, policy()) == due + 24 * HOUR
    taken_on = replace(after, status=ACKNOWLEDGED, acknowledged_at=due + HOUR)
    assert next_timer(taken_on, policy()) == due + 24 * HOUR


def test_an_overdue_visit_of_a_grade_that_climbs_to_nobody_is_told_to_the_township_once_in_each_period():
    due = NOW + 72 * HOUR
    firing = fire(standing(grade=ORANGE), policy(), due)
    assert firing.roles == ("cadre", "grid", "village_team", "township")
    assert next_timer(firing.standing, policy()) == due + 72 * HOUR
    assert fire(standing(grade=YELLOW), policy(), NOW + 168 * HOUR).roles == ("cadre", "grid", "township")


def test_a_policy_without_a_time_for_visits_repeats_nothing():
    timetable = policy().timetable | {
        "orange": policy().timetable["orange"].model_copy(update={"visit_within_minutes": 0})
    }
    at_once = policy().model_copy(update={"timetable": timetable})
    told = fire(replace(standing(grade=ORANGE), visit_by=NOW + HOUR), at_once, NOW + HOUR).standing
    assert next_timer(told, at_once) is None


def test_a_reminder_moves_its_step_to_the_next_date_and_catches_up_on_none():
    at = standing(VISITED, acknowledged=1, visited=2, plan=True)
    week = timedelta(days=7)
    firing = fire(at, policy(), NOW + 3.5 * week)
    assert firing.step is not None
    assert (firing.step.step, firing.step.due_at) == ("weekly_visit", NOW + week)
    moved = {step.step: step.due_at for step in firing.standing.plan}
    assert moved == {step.step: step.due_at for step in at.plan} | {"weekly_visit": NOW + 4 * week}
    assert next_timer(firing.standing, policy()) == NOW + 4 * week


def test_a_reminder_needs_no_acknowledgement_but_is_given_up_after_a_day():
    for status in (ACKNOWLEDGED, VISITED, AlertStatus.RESOLVED):
        assert still_wanted(status, revision=2, acknowledged_revision=2, reason=SendReason.REMINDER)
    day = timedelta(days=1)
    assert not is_given_up(SendReason.REMINDER, created_at=NOW, now=NOW + day)
    assert is_given_up(SendReason.REMINDER, created_at=NOW, now=NOW + day + HOUR)


def person(staff_id, role, division, channels=(ChannelName.SMTP,)):
    return StaffMember(staff_id, role, division, channels)


TOWN, COUNTY_1 = person("town-1", "township", TOWNSHIP), person("county-1", "county", COUNTY)
DUTY = person("duty-1", "duty_officer", PROVINCE)
TOWN_UP, COUNTY_UP = RoutedAs.TOWNSHIP_STANDS_IN, RoutedAs.COUNTY_STANDS_IN


@pytest.mark.parametrize(
    ("role", "staff", "told"),
    [
        ("township", (TOWN, COUNTY_1, DUTY), {"town-1": RoutedAs.ROLE}),
        ("township", (COUNTY_1, DUTY), {"county-1": COUNTY_UP}),
        ("township", (replace(TOWN, channels=()), COUNTY_1), {"county-1": COUNTY_UP}),
        ("township", (person("elsewhere", "township", "990100102000"), COUNTY_1), {"county-1": COUNTY_UP}),
        ("cadre", (person("elsewhere", "cadre", OTHER_VILLAGE), TOWN, COUNTY_1), {"town-1": TOWN_UP}),
        ("county", (TOWN, DUTY), {"duty-1": RoutedAs.DUTY_OFFICER}),
        ("duty_officer", (TOWN, COUNTY_1, DUTY), {"duty-1": RoutedAs.DUTY_OFFICER}),
        ("township", (), {}),
    ],
)
def test_a_hop_whose_role_is_empty_goes_to_the_next_level_upwards(role, staff, told):
    assert {one.staff_id: one.routed_as for one in climb(VILLAGE, role, staff, at=NOW).recipients} == told


def test_the_timetable_stands_still_while_nobody_can_hear_and_the_visits_deadline_does_not():
    waiting, acknowledge_by = waited_for(standing(), NOW + 2 * HOUR, SendReason.OPENED, 9 * HOUR)
    assert next_timer(waiting, policy()) == acknowledge_by == NOW + 11 * HOUR
    assert waiting.visit_by == standing().visit_by
    climbed = fire(waiting, policy(), NOW + 11 * HOUR).standing
    # The township is told at night, and hears in the morning: the county's turn moves by as much.
    later, _ = waited_for(climbed, None, SendReason.OVERDUE, 3 * HOUR)
    assert fire(later, policy(), NOW + 23 * HOUR + 59 * MINUTE).effect is NOTHING
    assert fire(later, policy(), NOW + 24 * HOUR).effect is CLIMBED


def test_what_does_not_call_for_an_answer_moves_no_timetable():
    assert waited_for(standing(), NOW, SendReason.NEW_FIRST_CAUSE, HOUR) == (standing(), NOW)
    assert waited_for(standing(), NOW, SendReason.REMINDER, HOUR) == (standing(), NOW)


def test_whoever_answered_before_they_were_told_has_answered():
    waiting, _ = waited_for(standing(ACKNOWLEDGED, acknowledged=1), None, SendReason.OPENED, 9 * HOUR)
    assert fire(waiting, policy(), NOW + 12 * HOUR).effect is NOTHING


def test_a_silenced_alert_waits_for_the_end_of_its_silence_with_everything():
    silenced = replace(standing(), silenced_until=NOW + 30 * HOUR)
    assert next_timer(silenced, policy()) == NOW + 30 * HOUR
    assert fire(silenced, policy(), NOW + 29 * HOUR).effect is NOTHING
    over = fire(silenced, policy(), NOW + 30 * HOUR)
    assert over.effect is Effect.SILENCE_OVER and over.standing == standing()
    # Also of a grade that nobody is told of: its silence ends on the timeline.
    assert next_timer(replace(silenced, grade=BLUE), policy()) == NOW + 30 * HOUR
    assert next_timer(replace(silenced, status=AlertStatus.WITHDRAWN), policy()) is None
