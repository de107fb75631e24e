"""Policy files: what is wrong is said by field and line, versions and jurisdictions stay apart, examples are usable."""

import json
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from services.scorer.core.household import fold, replay
from services.scorer.core.state_codec import encode
from services.scorer.grade_command import grade_lines
from shared.grades import RiskGrade
from shared.policy import (
    Policies,
    Policy,
    PolicyBook,
    PolicyInvalid,
    compare,
    default_policies,
    load_policies,
    load_policy,
    parse_policy,
)
from tests.factories import make_enrolment, make_event
from tests.rules.histories import random_case
from tests.rules.judged import judged
from tests.rules.live import LiveHousehold, with_enrolment

SHIPPED = Path(__file__).parents[2] / "shared" / "policies"
EXAMPLES = SHIPPED / "examples"
NATIONAL = SHIPPED / "national-2020-01-01.json"
TEXT = NATIONAL.read_text(encoding="utf-8")
CASES = Path(__file__).parent / "cases" / "grading_cases.jsonl"
OWN_LINE, THREE_COLOURS, ELSEWHERE = "990200101201", "990300101201", "990100101201"


def changed(path: str, value: Any) -> dict[str, Any]:
    """The national policy with one field set."""
    document: Any = json.loads(TEXT)
    found = document
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in steps:
        found = found[step]
    found[last] = value
    return document  # type: ignore[no-any-return]


def faults_of(path: Path) -> list[tuple[int | None, str]]:
    with pytest.raises(PolicyInvalid) as raised:
        load_policy(path)
    return [(fault.line, fault.path) for fault in raised.value.faults]


def saved(tmp_path: Path, text: str, name: str = "policy.json") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


# --- what is wrong


def test_each_fault_has_its_line_and_all_are_told_at_once(tmp_path: Path) -> None:
    text = TEXT.replace('"line_yuan": 8700', '"line_yuan": 0').replace('  "visit_days": 30,\n', "")
    text = text.replace('"to": "county"', '"to": "mayor"')
    rows = text.splitlines()
    found = faults_of(saved(tmp_path, text))
    assert [path for _, path in found] == ["line_yuan", "floors.visit_days", "timetable.red.climb.1.to"]
    shown = [rows[line - 1] for line, _ in found if line is not None]
    assert [row.strip() for row in shown] == ['"line_yuan": 0,', '"floors": {', '"to": "mayor"']


def test_a_key_given_twice_is_refused_where_it_stands(tmp_path: Path) -> None:
    text = TEXT.replace('"line_yuan": 8700,', '"line_yuan": 8700,\n "line_yuan": 9000,')
    place = text.splitlines().index(' "line_yuan": 9000,') + 1
    assert faults_of(saved(tmp_path, text)) == [(place, "line_yuan")]


@pytest.mark.parametrize(
    ("text", "line"),
    [('{\n "a": 1,\n}', 3), ("", 1), ("[" * 100_000, None), ("[]", 1), ("{}", 1)],
)
def test_a_file_that_is_no_policy_at_all_is_told_apart_from_a_faulty_one(
    tmp_path: Path, text: str, line: int | None
) -> None:
    found = faults_of(saved(tmp_path, text))
    assert found[0][0] == line
    assert text == "{}" or found == [(line, "document")]


def test_a_file_in_another_encoding_or_that_is_not_there_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "gbk.json"
    other.write_bytes(TEXT.encode("gb18030"))
    assert faults_of(other) == [(None, "document")]
    assert faults_of(tmp_path / "absent.json") == [(None, "document")]


def test_no_message_repeats_a_faulty_value(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid) as raised:
        load_policy(saved(tmp_path, TEXT.replace("#b3261e", "13800001111")))
    assert "13800001111" not in str(raised.value)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("score.grade_at_least.orange", 70, "score.grade_at_least.orange"),
        ("score.grade_at_least.blue", 3, "hysteresis.margin_points"),
        ("score.income_bands.2.points", 1, "score.income_bands.2.points"),
        ("score.rigid_bands.0.points", 1, "score.rigid_bands.1.points"),
        ("score.rigid_bands.3.at_least", "0", "score.rigid_bands.3.at_least"),
        ("score.income_bands.0.at_least", "1/0", "score.income_bands.0.at_least"),
        ("score.income_bands.0.at_least", "1e999999999", "score.income_bands.0.at_least"),
        ("score.income_bands.4.at_least", "-1", "score.income_bands.4.at_least"),
        ("score.income_below", 33, "score.income_below"),
        ("score.income_below", 60, "score"),
        ("score.labour_little", 1, "score.labour_little"),
        ("score.labour_none", 5, "score.labour_none"),
        ("score.guarantee_cap", 9, "score.guarantee_cap"),
        ("floors.poverty_ratio", "1.1", "floors.poverty_ratio"),
        ("floors.large_expense_yuan", 26001, "floors.large_expense_yuan"),
        ("floors.debt_share", "0", "floors.debt_share"),
        ("routing.red", [], "routing.red"),
        ("routing.orange", ["cadre", "cadre"], "routing.orange.1"),
        ("timetable.red.climb", [], "timetable.red.climb"),
        ("timetable.red.climb.1.after_minutes", 120, "timetable.red.climb.1.after_minutes"),
        ("timetable.red.climb.1.to", "township", "timetable.red.climb.1.to"),
        ("timetable.red.climb", [{"after_minutes": 5, "to": "grid"}], "timetable.red.climb.0.to"),
        ("timetable.red.visit_within_minutes", None, "timetable.red.visit_within_minutes"),
        ("timetable", {}, "timetable.red"),
        ("delivery.quiet_exempt", [], "delivery.quiet_exempt"),
        ("delivery.quiet_from", "24:00", "delivery.quiet_from"),
        (
            "delivery.messages_a_day_per_person_and_household",
            1,
            "delivery.messages_a_day_per_person_and_household",
        ),
        ("delivery.longest_silence_days", 0, "delivery.longest_silence_days"),
        ("weekly_list", {"routing": {"blue": ["cadre", "cadre"]}}, "weekly_list.routing.blue.1"),
        ("weekly_list", {"weekday": 8}, "weekly_list.weekday"),
        ("emergency_plan", [], "emergency_plan"),
        ("emergency_plan.1.code", "alert", "emergency_plan.1.code"),
        ("emergency_plan.5.repeat_minutes", 0, "emergency_plan.5.repeat_minutes"),
        ("measures.illness", [], "measures.illness"),
        ("area.tiers.1.tier", "large_scale", "area.tiers.1.tier"),
        ("area.tiers.1.share", "0.3", "area.tiers.1.share"),
        ("area.burst_windows_days", [], "area.burst_windows_days"),
        ("grades.red.colour", "red", "grades.red.colour"),
        ("division_prefix", "99020", "division_prefix"),
        ("division_prefix", "990200000000", "division_prefix"),
        ("name", "County", "name"),
    ],
)
def test_parts_that_contradict_one_another_are_named(path: str, value: Any, named: str) -> None:
    with pytest.raises(PolicyInvalid) as raised:
        parse_policy(changed(path, value))
    assert named in [fault.path for fault in raised.value.faults]


def test_colours_may_be_written_in_either_case() -> None:
    assert parse_policy(changed("grades.red.colour", "#B3261E")).ref == load_policy(NATIONAL).ref


def test_what_a_later_release_added_has_a_default_and_is_no_part_of_an_older_files_hash() -> None:
    explicit = changed("weekly_list", {"weekday": 1, "at": "08:30", "routing": {"blue": ["cadre"]}})
    explicit["delivery"] |= {"longest_red_silence_minutes": 240, "longest_silence_days": 14}
    assert parse_policy(explicit).ref == load_policy(NATIONAL).ref


# --- what ships


def test_the_examples_are_usable_together_and_are_not_taken_by_default() -> None:
    policies = load_policies(EXAMPLES)
    assert sorted(policies.books) == ["", "990200", "990300"]
    assert policies.national.versions == default_policies().versions
    assert [policy.name for policy in default_policies().versions] == ["national"]
    assert sorted(load_policies().books) == [""]


def test_a_county_with_another_line_differs_in_nothing_else() -> None:
    before, after = load_policies(EXAMPLES).books["990200"].versions
    assert [one.path for one in compare(before, after)] == ["version", "effective_from", "source", "line_yuan"]
    of_who = {"name", "version", "effective_from", "division_prefix", "source"}
    assert {one.path for one in compare(default_policies().versions[0], before)} == of_who


def test_a_red_yellow_green_county_shows_grades_alike_and_keeps_them_apart() -> None:
    county = load_policies(EXAMPLES).books["990300"]
    policy = county.versions[0]
    assert len({policy.look(grade).colour for grade in RiskGrade}) == 3
    assert policy.look(RiskGrade.ORANGE).colour == policy.look(RiskGrade.RED).colour
    assert len({policy.look(grade).word_zh for grade in RiskGrade}) == 5
    for line in CASES.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        (answer,) = grade_lines([line], county)
        assert json.loads(answer) == {"id": case["id"]} | case["expected"]


def test_a_file_with_a_higher_line_turns_case_29_yellow() -> None:
    (case,) = (line for line in CASES.read_text(encoding="utf-8").splitlines() if json.loads(line)["id"] == "29")
    assert json.loads(next(grade_lines([case], default_policies())))["grade"] == "blue"
    raised = PolicyBook([load_policy(EXAMPLES / "county-own-line-2026-01-01.json")])
    answer = json.loads(next(grade_lines([case], raised)))
    assert (answer["grade"], answer["floors"]) == ("yellow", ["BELOW_LINE"])


# --- versions


def raised_line(on: date, line_yuan: int = 9000) -> Policy:
    national = default_policies().versions[0]
    return national.model_copy(update={"version": f"{on}", "effective_from": on, "line_yuan": line_yuan})


def test_an_old_decision_replays_under_its_own_version_when_there_is_a_newer_one() -> None:
    first, second = default_policies().versions[0], raised_line(date(2026, 3, 1))
    on_the_line = make_enrolment(date(2026, 1, 1), baseline={"wage": 22800})
    events = [on_the_line, make_event("social.psych_concern", "2026-02-10")]
    alone = replay(events, date(2026, 2, 20), PolicyBook([first]))
    both = PolicyBook([first, second])
    then = replay(events, date(2026, 2, 20), both)
    assert (then.decision, alone.decision) != (None, None)
    assert then.decision is not None and alone.decision is not None
    assert (then.decision.result(), then.decision.policy_ref) == (alone.decision.result(), first.ref)
    changes = replay(events, date(2026, 3, 20), both).changes
    assert [(change.new, change.on_day, change.decision.policy_ref) for change in changes] == [
        (RiskGrade.BLUE, date(2026, 1, 1), first.ref),
        (RiskGrade.YELLOW, date(2026, 3, 1), second.ref),
    ]


def test_a_household_is_due_on_the_day_a_version_comes_into_force() -> None:
    book = PolicyBook([default_policies().versions[0], raised_line(date(2026, 3, 1))])
    folded = replay([make_enrolment(date(2026, 1, 1), baseline={"wage": 22800})], date(2026, 1, 1), book)
    assert folded.state.next_due_on == date(2026, 3, 1)


# --- jurisdictions


def county(prefix: str, **changes: Any) -> PolicyBook:
    national = default_policies().versions[0]
    return PolicyBook([national.model_copy(update={"name": f"d{prefix}", "division_prefix": prefix} | changes)])


def test_the_most_specific_jurisdiction_judges_and_the_nation_the_rest() -> None:
    books = [county("99"), county("990200"), county("990200101"), county("990200101201")]
    policies = Policies(books, default_policies())
    named = {
        division: policies.for_division(division).name
        for division in ("990200101201", "990200101202", "990200102201", "990300000000", "110000000000")
    }
    assert list(named.values()) == ["d990200101201", "d990200101", "d990200", "d99", "national"]


def test_a_folder_with_a_nation_of_its_own_replaces_the_shipped_one(tmp_path: Path) -> None:
    saved(tmp_path, TEXT.replace('"line_yuan": 8700', '"line_yuan": 8800'))
    assert load_policies(tmp_path).for_division(ELSEWHERE).versions[0].line_yuan == 8800


@pytest.mark.parametrize(
    ("second", "named"),
    [
        ({"effective_from": "2026-01-01"}, "version"),
        ({"effective_from": "2026-01-01", "version": "2", "division_prefix": "9902"}, "name"),
        ({"version": "2"}, "effective_from"),
        ({"effective_from": "2026-01-01", "version": "2", "name": "other"}, "name"),
    ],
)
def test_files_that_do_not_go_together_are_refused(tmp_path: Path, second: dict[str, Any], named: str) -> None:
    saved(tmp_path, TEXT, "a.json")
    saved(tmp_path, json.dumps(json.loads(TEXT) | second), "b.json")
    with pytest.raises(PolicyInvalid) as raised:
        load_policies(tmp_path)
    assert [fault.path for fault in raised.value.faults] == [named]


def test_nothing_is_loaded_while_one_file_of_a_folder_is_faulty_and_the_faults_of_all_are_told(tmp_path: Path) -> None:
    saved(tmp_path, TEXT, "a.json")
    saved(tmp_path, TEXT.replace("8700", "0"), "b.json")
    saved(tmp_path, "{", "c.json")
    with pytest.raises(PolicyInvalid) as raised:
        load_policies(tmp_path)
    assert [(Path(fault.where).name, fault.path) for fault in raised.value.faults] == [
        ("b.json", "line_yuan"),
        ("c.json", "document"),
    ]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="no policy file"):
        load_policies(tmp_path)


# --- households that move


def test_a_household_that_stays_is_judged_by_its_jurisdictions_own_book() -> None:
    policies = load_policies(EXAMPLES)
    day = date(2026, 1, 1)
    assert policies.along([(day, OWN_LINE)]) is policies.for_division(OWN_LINE)
    assert policies.along([(day, OWN_LINE), (date(2026, 2, 1), "990200101202")]) is policies.for_division(OWN_LINE)


def test_a_move_between_jurisdictions_changes_the_policy_on_its_day_and_not_before() -> None:
    policies = load_policies(EXAMPLES)
    stays = [(date(2024, 5, 1), ELSEWHERE), (date(2025, 6, 1), OWN_LINE), (date(2026, 6, 1), THREE_COLOURS)]
    book = policies.along(stays)
    days = [
        date(2020, 1, 1), date(2025, 5, 31), date(2025, 6, 1), date(2025, 12, 31), date(2026, 1, 1),
        date(2026, 5, 31), date(2026, 6, 1),
    ]  # fmt: skip
    assert [(book.on(day).name, book.on(day).version) for day in days] == [
        ("national", "2026.1"),
        ("national", "2026.1"),
        ("county-own-line", "2025.1"),
        ("county-own-line", "2025.1"),
        ("county-own-line", "2026.1"),
        ("county-own-line", "2026.1"),
        ("county-three-colours", "2026.1"),
    ]
    assert book.next_change(date(2025, 6, 1).toordinal()) == date(2026, 1, 1).toordinal()


def test_of_two_moves_on_one_day_the_last_counts() -> None:
    policies = load_policies(EXAMPLES)
    day = date(2026, 2, 1)
    book = policies.along([(date(2026, 1, 1), ELSEWHERE), (day, OWN_LINE), (day, THREE_COLOURS)])
    assert [book.on(day - timedelta(days=1)).name, book.on(day).name] == ["national", "county-three-colours"]
    assert policies.along([(day, OWN_LINE), (day, ELSEWHERE)]) is policies.national


@pytest.mark.parametrize("seed", range(60))
def test_after_the_replay_of_a_move_the_new_book_alone_goes_on_like_the_whole_residence(seed: int) -> None:
    """What the service does: replay on the move's day, and at every dispute, with `along`; else `for_division`."""
    random = Random(seed)
    windows = default_policies().versions[0].floors.model_copy(update={"visit_days": 10, "concern_days": 200})
    other = county("990200", line_yuan=9500, floors=windows, window_days=200)
    policies = Policies([other], default_policies())
    case = random_case(random, most_days=400)
    events = with_enrolment(case, 0)
    place = random.randint(1, len(events))
    moved_on = events[place - 1].recorded_on
    whole = policies.along([(date(2025, 1, 1), ELSEWHERE), (moved_on, OWN_LINE)])
    household = LiveHousehold(policies.for_division(ELSEWHERE))
    for event in events[:place]:
        household.take(event)
    household.policies = whole
    household.state = household.rebuilt().state
    for event in events[place:]:
        household.policies = policies.for_division(OWN_LINE)
        if random.random() < 0.3:
            household.tick(event.recorded_on)
        household.reload()
        if fold(household.state, event, household.policies).needs_replay:
            household.policies = whole
        household.take(event)
    household.policies = policies.for_division(OWN_LINE)
    lived = household.tick(date.fromisoformat(case["as_of"]) + timedelta(days=random.randint(0, 100)))
    household.policies = whole
    assert encode(lived.state) == encode(household.rebuilt().state)


def test_a_move_to_a_county_with_a_higher_line_can_change_the_grade_that_day() -> None:
    policies = load_policies(EXAMPLES)
    stays = [(date(2026, 1, 1), ELSEWHERE), (date(2026, 3, 1), OWN_LINE)]
    moved = make_event("registry.moved", "2026-03-01", division=OWN_LINE)
    decision = judged(moved, baseline={"wage": 22800}, policies=policies.along(stays))
    assert (decision.grade, decision.since, decision.policy_ref.name) == (
        RiskGrade.YELLOW,
        date(2026, 3, 1),
        "county-own-line",
    )
