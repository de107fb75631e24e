"""The life of an alert as people drive it: which act is allowed in which state, and what a refusal says to do."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from services.notifier.core.acting import (
    REFUSALS,
    STEP_OF,
    Deed,
    Held,
    Verdict,
    acknowledge,
    reopen,
    resolve,
    visit,
)
from shared.alerts import AlertStatus, StepKind
from shared.grades import RiskGrade
from tests.fakes.notifier import NOW

OPEN, ACKNOWLEDGED, VISITED, RESOLVED, WITHDRAWN = AlertStatus
DAY = timedelta(days=1)


def held(status: AlertStatus, grade: RiskGrade = RiskGrade.RED, **values: Any) -> Held:
    """A red alert that "me" holds from `acknowledged` on, visited a day after it began to count."""
    seen = status in (VISITED, RESOLVED)
    defaults: dict[str, Any] = {
        "owner": None if status in (OPEN, WITHDRAWN) else "me",
        "revision": 1,
        "acknowledged_revision": None if status in (OPEN, WITHDRAWN) else 1,
        "climb_from": NOW - 2 * DAY,
        "visited_at": NOW - DAY if seen else None,
        "closed_at": NOW - DAY if status in (RESOLVED, WITHDRAWN) else None,
    }
    return Held(status=status, grade=grade, **(defaults | values))


ACTS: dict[str, Callable[[Held], Verdict]] = {
    "acknowledge": lambda found: acknowledge(found, "me", take_over=False),
    "acknowledge for another": lambda found: acknowledge(found, "you", take_over=False),
    "take over": lambda found: acknowledge(found, "you", take_over=True),
    "visit": lambda found: visit(found, "stable"),
    "visit in vain": lambda found: visit(found, "not_found"),
    "resolve": resolve,
    "reopen": lambda found: reopen(found, NOW, another_under_way=False),
    "reopen beside another": lambda found: reopen(found, NOW, another_under_way=True),
}
# One line per state, one column per act, in the order of ACTS. Every pair is here.
TABLE: dict[AlertStatus, tuple[Verdict, ...]] = {
    OPEN: (
        Verdict.ACKNOWLEDGED,
        Verdict.ACKNOWLEDGED,
        Verdict.ACKNOWLEDGED,
        Verdict.VISITED,
        Verdict.VISITED_IN_VAIN,
        Verdict.VISIT_FIRST,
        Verdict.NOT_RESOLVED,
        Verdict.NOT_RESOLVED,
    ),
    ACKNOWLEDGED: (
        Verdict.UNCHANGED,
        Verdict.HELD_BY_OTHER,
        Verdict.TAKEN_OVER,
        Verdict.VISITED,
        Verdict.VISITED_IN_VAIN,
        Verdict.VISIT_FIRST,
        Verdict.NOT_RESOLVED,
        Verdict.NOT_RESOLVED,
    ),
    VISITED: (
        Verdict.UNCHANGED,
        Verdict.HELD_BY_OTHER,
        Verdict.TAKEN_OVER,
        Verdict.VISITED,
        Verdict.VISITED_IN_VAIN,
        Verdict.RESOLVED,
        Verdict.NOT_RESOLVED,
        Verdict.NOT_RESOLVED,
    ),
    RESOLVED: (
        Verdict.CLOSED,
        Verdict.CLOSED,
        Verdict.CLOSED,
        Verdict.CLOSED,
        Verdict.CLOSED,
        Verdict.CLOSED,
        Verdict.REOPENED,
        Verdict.ANOTHER_UNDER_WAY,
    ),
    WITHDRAWN: (
        Verdict.WITHDRAWN,
        Verdict.WITHDRAWN,
        Verdict.WITHDRAWN,
        Verdict.WITHDRAWN,
        Verdict.WITHDRAWN,
        Verdict.WITHDRAWN,
        Verdict.WITHDRAWN,
        Verdict.WITHDRAWN,
    ),
}
PAIRS = [
    pytest.param(status, act, verdict, id=f"{status}: {act}")
    for status, line in TABLE.items()
    for act, verdict in zip(ACTS, line, strict=True)
]


@pytest.mark.parametrize(("status", "act", "verdict"), PAIRS)
def test_each_act_in_each_state_does_or_is_refused_as_the_table_says(status, act, verdict):
    assert ACTS[act](held(status)) is verdict


def test_the_table_leaves_no_state_out_and_every_verdict_is_either_a_step_or_a_refusal():
    assert set(TABLE) == set(AlertStatus)
    assert set(STEP_OF) | set(REFUSALS) | {Verdict.UNCHANGED} == set(Verdict)
    assert not set(STEP_OF) & set(REFUSALS)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (held(ACKNOWLEDGED, RiskGrade.RED), Verdict.VISIT_FIRST),
        (held(ACKNOWLEDGED, RiskGrade.ORANGE), Verdict.VISIT_FIRST),
        (held(ACKNOWLEDGED, RiskGrade.YELLOW), Verdict.RESOLVED),
        (held(OPEN, RiskGrade.YELLOW), Verdict.ACKNOWLEDGE_FIRST),
        (held(OPEN, RiskGrade.RED, visited_at=NOW - DAY), Verdict.ACKNOWLEDGE_FIRST),
        (held(VISITED, climb_from=NOW), Verdict.VISIT_AGAIN),
        (held(VISITED, climb_from=None), Verdict.RESOLVED),
    ],
)
def test_a_serious_alert_is_resolved_only_after_a_visit_since_it_became_so(found, verdict):
    assert resolve(found) is verdict


def test_what_was_told_since_can_be_acknowledged_once_more():
    assert acknowledge(held(ACKNOWLEDGED, revision=2), "me", take_over=False) is Verdict.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("closed", "verdict"), [(timedelta(days=30), Verdict.REOPENED), (timedelta(days=31), Verdict.RESOLVED_LONG_AGO)]
)
def test_an_alert_can_be_reopened_for_thirty_days(closed, verdict):
    assert reopen(held(RESOLVED, closed_at=NOW - closed), NOW, another_under_way=False) is verdict


@pytest.mark.parametrize(
    ("other", "repeats"),
    [
        ({}, True),
        ({"at": NOW + timedelta(hours=2)}, True),
        ({"at": NOW + 7 * DAY}, False),
        ({"actor": "you"}, False),
        ({"note": "三口人都在"}, False),
        ({"facts": {"reason": "needs_plan", "measures": []}}, False),
        ({"kind": StepKind.VISITED_IN_VAIN}, False),
    ],
)
def test_the_same_words_of_the_same_person_on_one_day_are_one_act(other, repeats):
    said: dict[str, Any] = {
        "kind": StepKind.VISITED,
        "actor": "me",
        "note": None,
        "facts": {"reason": "stable", "measures": []},
        "at": NOW,
    }
    assert Deed(**(said | other)).repeats(Deed(**said)) is repeats
    assert not Deed(**said).repeats(None)
