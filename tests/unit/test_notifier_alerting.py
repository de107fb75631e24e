"""Which change of grade opens an alert, is told again, is only noted, or withdraws what was told."""

from datetime import timedelta

import pytest

from services.notifier.core.alerting import Action, OpenAlert, Why, deadlines, decide, say_span
from shared.alerts import AlertStatus
from shared.grades import RiskGrade
from tests.fakes.notifier import NOW, WORDING, make_change, policy


def open_alert(
    grade: RiskGrade = RiskGrade.ORANGE, status: AlertStatus = AlertStatus.OPEN, told: tuple[str, ...] = ("illness",)
) -> OpenAlert:
    return OpenAlert(status, grade, 1, frozenset(told))


@pytest.mark.parametrize(
    ("old", "new", "action", "why"),
    [
        (None, "red", Action.OPEN, Why.OPENED_WORSE),
        ("green", "yellow", Action.OPEN, Why.OPENED_WORSE),
        ("yellow", "orange", Action.OPEN, Why.OPENED_WORSE),
        ("red", "orange", Action.OPEN, Why.OPENED_SERIOUS),
        ("orange", "yellow", Action.IGNORE, Why.NOT_WORSE),
        ("green", "blue", Action.IGNORE, Why.GRADE_NOT_TOLD),
        (None, "green", Action.IGNORE, Why.GRADE_NOT_TOLD),
        ("red", "green", Action.IGNORE, Why.GRADE_NOT_TOLD),
    ],
)
def test_without_an_alert_a_told_grade_opens_one_when_worse_or_serious(old, new, action, why):
    decision = decide(make_change(new, old), None, last_version=0, policy=policy())
    assert (decision.action, decision.why) == (action, why)


@pytest.mark.parametrize(
    ("new", "causes", "action", "why"),
    [
        ("red", ("illness",), Action.SEND_AGAIN, Why.GRADE_WORSE),
        ("yellow", ("illness",), Action.NOTE, Why.GRADE_BETTER),
        ("yellow", ("disaster",), Action.NOTE, Why.GRADE_BETTER),
        ("green", (), Action.NOTE, Why.GRADE_BETTER),
        ("orange", ("disaster", "illness"), Action.SEND_AGAIN, Why.NEW_FIRST_CAUSE),
        ("orange", ("illness", "disaster"), Action.NOTE, Why.UNCHANGED),
        ("orange", (), Action.NOTE, Why.UNCHANGED),
    ],
)
def test_an_open_alert_is_told_again_only_for_a_worse_grade_or_a_new_first_cause(new, causes, action, why):
    decision = decide(
        make_change(new, "orange", version=2, causes=causes), open_alert(), last_version=1, policy=policy()
    )
    assert (decision.action, decision.why) == (action, why)


def test_first_causes_that_overtake_each_other_are_told_once_each():
    alert = open_alert(told=("illness", "disaster"))
    change = make_change("orange", "orange", version=9, causes=("illness",))
    assert decide(change, alert, last_version=8, policy=policy()).why is Why.UNCHANGED


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_version_that_was_taken_in_already_changes_nothing(version):
    decision = decide(make_change("red", "green", version=version), None, last_version=3, policy=policy())
    assert (decision.action, decision.why) == (Action.IGNORE, Why.OLD_VERSION)


@pytest.mark.parametrize(
    ("kind", "new", "status", "action"),
    [
        ("replay", "green", AlertStatus.OPEN, Action.WITHDRAW),
        ("replay", "blue", AlertStatus.OPEN, Action.WITHDRAW),
        ("replay", "yellow", AlertStatus.OPEN, Action.NOTE),
        ("replay", "green", AlertStatus.ACKNOWLEDGED, Action.NOTE),
        ("event", "green", AlertStatus.OPEN, Action.NOTE),
        ("timer", "green", AlertStatus.OPEN, Action.NOTE),
    ],
)
def test_only_refuted_evidence_withdraws_and_only_an_alert_that_nobody_has_taken_on(kind, new, status, action):
    decision = decide(
        make_change(new, "orange", version=2, kind=kind), open_alert(status=status), last_version=1, policy=policy()
    )
    assert decision.action is action


@pytest.mark.parametrize(
    ("kind", "event_type", "new", "status", "action"),
    [
        ("replay", "event.corrected", "yellow", AlertStatus.OPEN, Action.CORRECT),
        ("replay", "event.refuted", "yellow", AlertStatus.VISITED, Action.CORRECT),
        ("replay", "event.corrected", "green", AlertStatus.ACKNOWLEDGED, Action.CORRECT),
        # Nobody has taken it on yet: it is taken back whole.
        ("replay", "event.corrected", "green", AlertStatus.OPEN, Action.WITHDRAW),
        # A survey that comes late, a verification, relief that was paid: nothing that was told was wrong.
        ("replay", "survey.visit", "yellow", AlertStatus.OPEN, Action.NOTE),
        ("event", "event.verified", "yellow", AlertStatus.OPEN, Action.NOTE),
        ("event", "relief.temporary_aid", "green", AlertStatus.ACKNOWLEDGED, Action.NOTE),
        ("replay", "event.corrected", "orange", AlertStatus.OPEN, Action.NOTE),
        ("replay", "event.corrected", "red", AlertStatus.OPEN, Action.SEND_AGAIN),
    ],
)
def test_a_milder_grade_is_told_only_where_what_was_told_proved_not_to_be_so(kind, event_type, new, status, action):
    change = make_change(new, "orange", version=2, kind=kind, event_type=event_type)
    assert decide(change, open_alert(status=status), last_version=1, policy=policy()).action is action


def test_closing_a_household_without_an_alert_tells_nobody():
    decision = decide(make_change("green", "red", version=2, closed=True), None, last_version=1, policy=policy())
    assert (decision.action, decision.why) == (Action.IGNORE, Why.HOUSEHOLD_CLOSED)


@pytest.mark.parametrize(
    ("grade", "roles"),
    [
        ("red", ("cadre", "grid", "village_team", "township", "county")),
        ("orange", ("cadre", "grid", "village_team", "township")),
        ("yellow", ("cadre", "grid")),
    ],
)
def test_the_policy_says_who_hears_of_each_grade(grade, roles):
    assert decide(make_change(grade, "green"), None, last_version=0, policy=policy()).roles == roles


@pytest.mark.parametrize(
    ("grade", "acknowledge", "visit", "steps"),
    [
        (RiskGrade.RED, timedelta(hours=2), timedelta(hours=24), 6),
        (RiskGrade.ORANGE, None, timedelta(days=3), 1),
        (RiskGrade.YELLOW, None, timedelta(days=7), 1),
        (RiskGrade.BLUE, None, None, 0),
    ],
)
def test_deadlines_follow_the_policys_timetable(grade, acknowledge, visit, steps):
    due = deadlines(grade, policy(), NOW, WORDING)
    assert due.acknowledge_by == (acknowledge and NOW + acknowledge)
    assert due.visit_by == (visit and NOW + visit)
    assert len(due.plan) == steps


@pytest.mark.parametrize(
    ("span", "zh", "en"),
    [
        (timedelta(seconds=5), "1分钟", "1 minute"),
        (timedelta(minutes=40), "40分钟", "40 minutes"),
        (timedelta(hours=2), "2小时", "2 hours"),
        (timedelta(hours=1, minutes=47), "1小时47分钟", "1 hour 47 minutes"),
        (timedelta(hours=1, minutes=59, seconds=59), "2小时", "2 hours"),
        (timedelta(hours=23, minutes=50), "23小时", "23 hours"),
        (timedelta(hours=24), "24小时", "24 hours"),
        (timedelta(days=3), "3天", "3 days"),
    ],
)
def test_spans_are_said_so_that_nobody_reads_more_time_than_there_is(span, zh, en):
    assert (say_span(span, WORDING.zh), say_span(span, WORDING.en)) == (zh, en)
