"""`shouwang-scorer policy`: says what a file holds, what is wrong with it, and what differs between two."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.scorer.main import cli
from shared.policy import default_policies

SHIPPED = Path(__file__).parents[2] / "shared" / "policies"
NATIONAL = str(SHIPPED / "national-2020-01-01.json")
YEAR_2025 = str(SHIPPED / "examples" / "county-own-line-2025-01-01.json")
YEAR_2026 = str(SHIPPED / "examples" / "county-own-line-2026-01-01.json")
RUNNER = CliRunner()


@pytest.fixture
def faulty(tmp_path: Path) -> str:
    path = tmp_path / "faulty.json"
    path.write_text(Path(NATIONAL).read_text(encoding="utf-8").replace("8700", "0").replace('"red": 70', '"red": 50'))
    return str(path)


def test_a_good_file_is_described() -> None:
    done = RUNNER.invoke(cli, ["policy", "check", NATIONAL])
    assert done.exit_code == 0
    for said in ("national", "2026.1", "2020-01-01", default_policies().versions[0].content_hash):
        assert said in done.stdout


def test_a_good_file_is_described_for_programs_too() -> None:
    done = RUNNER.invoke(cli, ["policy", "check", "--json", YEAR_2026])
    (described,) = json.loads(done.stdout)["policies"]
    assert described | {"hash": ""} == {
        "name": "county-own-line",
        "version": "2026.1",
        "effective_from": "2026-01-01",
        "division": "990200",
        "hash": "",
    }


def test_a_folder_is_checked_as_a_whole() -> None:
    done = RUNNER.invoke(cli, ["policy", "check", str(SHIPPED / "examples")])
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 3)


def test_a_faulty_file_is_refused_with_a_message_for_each_field(faulty: str) -> None:
    done = RUNNER.invoke(cli, ["policy", "check", faulty])
    assert (done.exit_code, done.stdout) == (2, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"{faulty}: line 7: line_yuan: ")


def test_contradictions_are_told_once_the_fields_are_well_formed(faulty: str) -> None:
    Path(faulty).write_text(Path(faulty).read_text().replace('"line_yuan": 0', '"line_yuan": 1'))
    done = RUNNER.invoke(cli, ["policy", "check", "--json", faulty])
    document = json.loads(done.stdout)
    assert (done.exit_code, document["ok"]) == (2, False)
    assert [(fault["path"], fault["line"] > 1) for fault in document["faults"]] == [
        ("score.grade_at_least.orange", True)
    ]


def test_a_file_that_is_not_there_is_refused() -> None:
    done = RUNNER.invoke(cli, ["policy", "check", "nowhere.json"])
    assert (done.exit_code, "nowhere.json: document: cannot be read" in done.stderr) == (2, True)


def test_a_difference_is_shown_from_old_to_new() -> None:
    done = RUNNER.invoke(cli, ["policy", "diff", YEAR_2025, YEAR_2026])
    assert done.exit_code == 1
    assert "line_yuan: 8700 -> 9000" in done.stdout.splitlines()


def test_the_same_policy_in_another_layout_does_not_differ(tmp_path: Path) -> None:
    same = tmp_path / "same.json"
    same.write_text(json.dumps(json.loads(Path(YEAR_2025).read_text(encoding="utf-8")), sort_keys=True))
    done = RUNNER.invoke(cli, ["policy", "diff", YEAR_2025, str(same)])
    assert (done.exit_code, done.stdout) == (0, "")


def test_added_removed_and_reordered_entries_are_named_by_their_code(tmp_path: Path) -> None:
    document = json.loads(Path(NATIONAL).read_text(encoding="utf-8"))
    water = document["measures"]["water"]
    water.reverse()
    water.append({"code": "well", "text_zh": "打井", "text_en": "a well"})
    del document["measures"]["housing"][2]
    del document["timetable"]["red"]["climb"][1]
    document["routing"]["yellow"] = ["cadre"]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document), encoding="utf-8")
    done = RUNNER.invoke(cli, ["policy", "diff", "--json", NATIONAL, str(other)])
    found = {one["path"]: one for one in json.loads(done.stdout)["differences"]}
    assert done.exit_code == 1
    assert set(found) == {
        "routing.yellow",
        "timetable.red.climb.1",
        "measures.housing.temporary_home",
        "measures.water.well",
        "measures.water.(order)",
    }
    assert "new" not in found["measures.housing.temporary_home"] and "old" not in found["measures.water.well"]
    assert (found["routing.yellow"]["old"], found["routing.yellow"]["new"]) == (["cadre", "grid"], ["cadre"])


def test_files_that_cannot_be_compared_are_all_told(faulty: str) -> None:
    done = RUNNER.invoke(cli, ["policy", "diff", faulty, "nowhere.json"])
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 2)


def test_grading_with_a_faulty_policy_answers_nothing(faulty: str) -> None:
    done = RUNNER.invoke(cli, ["grade", "--policy", faulty], input="{}\n")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "line 7: line_yuan" in done.stderr
