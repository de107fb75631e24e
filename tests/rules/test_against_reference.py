"""The core against a second, naive reading of the rule book, on made-up histories."""

import json
from datetime import date
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scorer.core.elimination import blockers_of
from services.scorer.grade_command import grade_lines
from shared.policy import default_policies
from tests.rules.histories import random_case
from tests.rules.live import live_through, with_enrolment
from tests.rules.reference import grade_case

POLICIES = default_policies()
SLOW = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
CASES = (Path(__file__).parent / "cases" / "random_cases.jsonl").read_text().splitlines()


@pytest.mark.parametrize("line", CASES[::25], ids=lambda line: json.loads(line)["id"])
def test_the_reference_itself_agrees_with_published_cases(line: str) -> None:
    case = json.loads(line)
    result, blockers = grade_case(case)
    assert result == case["expected"]
    assert blockers == case["expected_blockers"]


@SLOW
@given(st.randoms(use_true_random=False), st.sampled_from([10, 45, 150]))
def test_made_up_histories_come_out_as_the_reference_has_them(random: Random, days: int) -> None:
    case = random_case(random, most_events=8, most_days=days)
    expected, blockers = grade_case(case)
    (text,) = grade_lines([json.dumps(case)], POLICIES, elimination=True)
    answered = json.loads(text)
    assert answered.pop("elimination_blockers") == blockers
    assert answered == {"id": "made-up"} | expected


@pytest.mark.parametrize("seed", range(40))
def test_a_household_lived_event_by_event_ends_as_the_reference_has_it(seed: int) -> None:
    random = Random(seed)
    case = random_case(random, most_days=random.choice([20, 120, 400]))
    *_, household = live_through(with_enrolment(case, random.randint(0, 6)), random, POLICIES)
    folded = household.tick(date.fromisoformat(case["as_of"]))
    expected, blockers = grade_case(case)
    assert folded.decision is not None
    assert folded.decision.result() == expected
    assert list(blockers_of(folded.state, folded.decision)) == blockers
