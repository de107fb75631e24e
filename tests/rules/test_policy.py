"""The policy is versioned configuration: checked, hashed, and obeyed."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from shared.grades import RiskGrade
from shared.policy import PolicyBook, PolicyInvalid, default_policies, load_policy, parse_policy
from tests.rules.judged import judged

FILE = next((Path(__file__).parents[2] / "shared" / "policies").glob("*.json"))
POLICY = default_policies().versions[0]


def document(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found | changes


def test_the_default_has_the_rule_books_numbers() -> None:
    numbers = POLICY.numbers
    assert (numbers.line_fen, numbers.lower_bounds, numbers.poverty_ratio) == (870_000, (0, 20, 35, 50, 70), (2, 3))
    assert POLICY.routing["red"] == ["cadre", "grid", "village_team", "township", "county"]
    assert [(step.after_minutes, step.to) for step in POLICY.timetable["red"].climb] == [
        (120, "township"),
        (720, "county"),
    ]
    assert [POLICY.timetable[code].visit_within_minutes for code in ("red", "orange", "yellow")] == [1440, 4320, 10080]


def test_raising_the_line_by_configuration_turns_a_household_on_the_line_yellow() -> None:
    on_the_line = {"wage": 22800}
    assert judged(baseline=on_the_line).grade is RiskGrade.BLUE
    raised = PolicyBook([parse_policy(document(line_yuan=9000))])
    assert judged(baseline=on_the_line, policies=raised).grade is RiskGrade.YELLOW


def test_a_decision_names_the_version_and_the_hash_of_its_policy() -> None:
    assert judged().policy_ref == POLICY.ref
    assert POLICY.ref.hash == POLICY.content_hash and len(POLICY.content_hash) == 64


def test_the_hash_follows_the_content_and_not_the_layout(tmp_path: Path) -> None:
    same, other = tmp_path / "same.json", tmp_path / "other.json"
    same.write_text(json.dumps(document(), indent=7, sort_keys=True), encoding="utf-8")
    other.write_text(json.dumps(document(line_yuan=8701)), encoding="utf-8")
    assert load_policy(same).content_hash == POLICY.content_hash != load_policy(other).content_hash


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"line_yuan": 0}, "line_yuan"),
        ({"line_yuan": "8700"}, "line_yuan"),
        ({"colour": "red"}, "colour"),
        ({"floors": {}}, "floors.overdue_days"),
        ({"grades": {}}, "grades.red"),
        ({"routing": {"red": ["mayor"]}}, "routing.red.0"),
        ({"measures": {"luck": []}}, "measures.luck"),
        ({"effective_from": "1 Jan"}, "effective_from"),
    ],
)
def test_a_faulty_field_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(PolicyInvalid, match=named):
        parse_policy(document(**changes))


def test_every_faulty_field_is_reported_at_once() -> None:
    with pytest.raises(PolicyInvalid) as raised:
        parse_policy(document(line_yuan=0, window_days=0))
    assert len(str(raised.value).splitlines()) == 2


def test_bands_must_fall() -> None:
    score = document()["score"]
    score["income_bands"].reverse()
    with pytest.raises(PolicyInvalid, match=r"score\.income_bands"):
        parse_policy(document(score=score))


def test_a_file_that_is_not_json_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(PolicyInvalid, match=r"broken\.json"):
        load_policy(broken)


def test_each_day_has_the_version_in_force() -> None:
    later = POLICY.model_copy(update={"effective_from": date(2026, 7, 1), "version": "2026.2"})
    book = PolicyBook([later, POLICY])
    assert [book.on(day).version for day in (date(1999, 1, 1), date(2026, 6, 30), date(2026, 7, 1))] == [
        "2026.1", "2026.1", "2026.2",
    ]  # fmt: skip
    assert book.next_change(date(1999, 1, 1).toordinal()) == date(2026, 7, 1).toordinal()
    assert book.next_change(date(2026, 7, 1).toordinal()) is None


def test_two_versions_from_one_day_or_of_two_names_are_refused() -> None:
    with pytest.raises(PolicyInvalid, match="effective_from"):
        PolicyBook([POLICY, POLICY])
    with pytest.raises(PolicyInvalid, match="name"):
        PolicyBook([POLICY, POLICY.model_copy(update={"name": "other", "effective_from": date(2027, 1, 1)})])


def test_a_colour_map_of_three_does_not_merge_grades() -> None:
    looks = {code: document()["grades"]["red" if code == "orange" else code] for code in document()["grades"]}
    policy = parse_policy(document(grades=looks))
    assert policy.look(RiskGrade.ORANGE) == policy.look(RiskGrade.RED)
    assert judged(policies=PolicyBook([policy])).result() == judged().result()
