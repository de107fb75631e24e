import json
from pathlib import Path

import pytest

from tests.chaos import report, results
from tests.chaos.__main__ import chosen
from tests.chaos.campaign import summary
from tests.chaos.faults import FAULTS, NOT_INJECTED
from tests.chaos.results import Result, last_line


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "LATEST", tmp_path / "latest.json")
    return tmp_path


def make_result(code: str = "F1", seed: int = 1, **facts: object) -> Result:
    usual = {"title": "something dies", "commit": "abc", "at": 0.0, "took_seconds": 20.0, "seen": "a death", "count": 1}
    return Result(**{"code": code, "seed": seed, "recovery_seconds": 4.5, **usual, **facts})  # type: ignore[arg-type]


def test_each_fault_of_the_matrix_is_injected_or_has_a_reason_why_not() -> None:
    assert not set(FAULTS) & set(NOT_INJECTED)
    assert {f"F{number}" for number in range(1, 81)} == {
        code for code in (*FAULTS, *NOT_INJECTED) if code.startswith("F")
    }


def test_the_short_form_meets_services_log_database_and_people_and_stays_short() -> None:
    codes = {fault.code for fault in chosen("short")}

    assert {"F7", "F12", "F14", "F21", "F24", "F36", "F37", "F49"} <= codes
    assert len(codes) <= 10


def test_a_fault_that_nobody_knows_or_can_inject_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="F43: there is no SQLite"):
        chosen("F1,F43")
    with pytest.raises(ValueError, match="F99: no such fault"):
        chosen("F99")


def test_the_last_line_counts_runs_that_proved_nothing_or_broke_off_as_unexplained() -> None:
    found = [
        make_result(counts={"lost": 2, "doubled": 1, "phantom": 3, "silent": 4}),
        make_result(vacuous=["no visible effect"]),
        make_result(broken="the fault broke off: OSError: gone"),
        make_result(),
    ]

    assert last_line(found) == "chaos: 4 runs, 2 lost, 1 double, 3 phantom, 6 unexplained"
    assert [result.valid for result in found] == [False, False, False, True]


def test_a_kept_result_is_found_again_for_the_same_code_only(home: Path) -> None:
    make_result("F14", figures={"reds": 61}).save()

    assert results.kept("F14", 1, "abc") == make_result("F14", figures={"reds": 61})
    assert results.kept("F14", 1, "abd") is None


def test_the_report_shows_each_run_of_the_last_campaign_and_what_was_not_run(home: Path) -> None:
    good, bad = make_result("F14", 1), make_result("F14", 2, counts={"lost": 1})
    for result in (good, bad):
        result.save()
    (home / "latest.json").write_text(json.dumps(summary([good, bad], {"F34": "no disk"}, "abc")))

    text = report.write_report(home / "fault-report.md").read_text()

    assert "chaos: 2 runs, 1 lost, 0 double, 0 phantom, 0 unexplained" in text
    assert f"| F14 | {FAULTS['F14'].title} | a death | 4.5, 4.5 | seed 2: 1 lost |" in text
    assert "| F34 | no disk |" in text and "| F43 |" in text
    assert "| F36 | not run with this state of the code yet |" in text


@pytest.mark.parametrize(
    ("facts", "repeated"),
    [
        ({"vacuous": ["no visible effect"]}, True),
        ({"vacuous": ["no visible effect"], "counts": {"lost": 1}}, False),
        ({"vacuous": ["no visible effect"], "broken": "the fault broke off"}, False),
        ({"counts": {"lost": 1}}, False),
        ({}, False),
    ],
)
def test_only_a_run_that_tested_nothing_and_found_nothing_may_be_repeated(
    facts: dict[str, object], repeated: bool
) -> None:
    assert make_result(**facts).only_vacuous is repeated


def test_a_run_that_was_repeated_is_told_with_what_it_had_found(home: Path) -> None:
    make_result("F40", broken="the fault broke off: TimeoutError: not ready").save()
    make_result("F40", counts={"silent": 2}).save()
    make_result("F40").save()
    found = report.stored("abc")
    results.write_json(home / "latest.json", summary(found, {}, "abc"))

    text = report.write_report(home / "report.md").read_text(encoding="utf-8")

    assert found[0].valid
    assert "| F40 | 1 | the fault broke off: TimeoutError: not ready |" in text
    assert "| F40 | 1 | 2 silent |" in text


def test_a_report_tells_which_runs_are_of_an_older_state_of_the_code(home: Path) -> None:
    for result in (make_result("F1"), make_result("F14", vacuous=["no visible effect"])):
        result.save()
    for code in ("F14", *(f"F{number}" for number in range(20, 30))):
        make_result(code, commit="def", seed=1 if code == "F14" else 2).save()
    results.write_json(home / "latest.json", summary([], {}, "def"))

    text = report.write_report(home / "report.md", after=["abc"]).read_text(encoding="utf-8")

    assert "Code: `def`, seed 1 (F14), seed 2 (10 runs); `abc`, seed 1 (F1)." in text
    assert "| F14 | 1 | vacuous: no visible effect (on `abc`) |" in text
    assert "chaos: 12 runs, 0 lost, 0 double, 0 phantom, 0 unexplained" in text
