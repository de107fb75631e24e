"""The benchmark's own arithmetic, choice of lines, and what it writes."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.bench import __main__ as command
from tests.bench.bench import Bench
from tests.bench.document import BEGIN, DOCUMENT, END, MarkersMissing, rows_of, with_table
from tests.bench.line import Goal, Line, Measured, Rounds
from tests.bench.lines import MEASUREMENTS
from tests.bench.measurement import Measurement, chosen_names
from tests.bench.published import merged, read_published
from tests.bench.results import Record, records, table, write_records
from tests.bench.run import Report, run
from tests.bench.settings import BenchSettings

RATE = Line("a.rate", "events/s", "says", quick=True, goal=Goal(ratio=0.7, least=10_000))
COST = Line("a.cost_us", "us", "says", less_is_better=True, goal=Goal(most=25))
OTHER = Line("b.rate", "events/s", "says")


async def nothing(_: Bench) -> Mapping[Line, Rounds]:
    return {}


CHOICE = [Measurement([RATE, COST], nothing), Measurement([OTHER], nothing)]


def test_the_median_of_the_rounds_counts_and_one_slow_round_does_not() -> None:
    measured = Measured(RATE, Rounds([9_000, 12_000, 100], [15_000, 10_000, 14_000]))
    assert (measured.value, measured.ceiling) == (9_000, 14_000)
    assert measured.ratio == pytest.approx(9 / 14)
    shown = measured.for_json()
    assert (shown["min"], shown["max"], shown["rounds"]) == (100, 12_000, 3)


def test_a_ratio_says_how_near_the_ceiling_is_for_times_too() -> None:
    assert Measured(COST, Rounds([40], [10])).ratio == pytest.approx(0.25)


def test_a_line_without_a_ceiling_has_no_ratio() -> None:
    shown = Measured(OTHER, Rounds([5.0])).for_json()
    assert (shown["value"], shown["ceiling"], shown["ratio"]) == (5.0, None, None)


@pytest.mark.parametrize(
    ("values", "ceilings", "met"),
    [([10_000], [14_000], True), ([9_999], [9_999], False), ([20_000], [40_000], False)],
)
def test_a_goal_wants_both_the_share_of_the_ceiling_and_the_value(
    values: Sequence[float], ceilings: Sequence[float], met: bool
) -> None:
    assert Measured(RATE, Rounds(values, ceilings)).is_met is met


@pytest.mark.parametrize(
    ("patterns", "quick", "names"),
    [
        (["*"], False, {"a.rate", "a.cost_us", "b.rate"}),
        (["*"], True, {"a.rate"}),
        (["a.*"], False, {"a.rate", "a.cost_us"}),
        (["b.rate", "a.cost_us"], False, {"b.rate", "a.cost_us"}),
    ],
)
def test_lines_are_chosen_by_pattern_and_by_the_quick_mark(
    patterns: Sequence[str], quick: bool, names: set[str]
) -> None:
    assert chosen_names(CHOICE, patterns, quick=quick) == names


@pytest.mark.parametrize(("patterns", "quick"), [(["c.*"], False), (["b.rate"], True)])
def test_a_choice_of_nothing_is_refused_with_what_there_is(patterns: Sequence[str], quick: bool) -> None:
    with pytest.raises(ValueError, match=r"a\.rate|make bench LINES"):
        chosen_names(CHOICE, patterns, quick=quick)


def test_every_line_has_a_name_of_its_own() -> None:
    names = [line.name for measurement in MEASUREMENTS for line in measurement.lines]
    assert len(names) == len(set(names))


async def test_a_line_that_fails_is_told_of_with_its_reason_and_the_others_still_run() -> None:
    async def broken(_: Bench) -> Mapping[Line, Rounds]:
        raise RuntimeError("the disk is full")

    async def works(bench: Bench) -> Mapping[Line, Rounds]:
        return {OTHER: await bench.alternate(figure(7.0), figure(8.0))}

    kept: list[int] = []
    report = await run(
        BenchSettings(quick=True),
        frozenset({"a.rate", "b.rate"}),
        [Measurement([RATE, COST], broken), Measurement([OTHER], works)],
        lambda so_far: kept.append(len(so_far.measured)),
    )
    assert [(one.line.name, one.value, one.failed) for one in report.measured] == [
        ("a.rate", None, "RuntimeError: the disk is full"),
        ("b.rate", 7.0, None),
    ]
    assert [one.line for one in report.failed] == [RATE]
    assert kept == [1, 2]


async def test_of_lines_that_share_their_rounds_one_may_fail_alone() -> None:
    async def half(_: Bench) -> Mapping[Line, Rounds | Exception]:
        return {RATE: Rounds([5.0]), COST: OSError("only one came")}

    names = frozenset({"a.rate", "a.cost_us", "b.rate"})
    report = await run(BenchSettings(), names, [Measurement([RATE, COST, OTHER], half)], lambda _: None)
    assert [(one.value, one.failed) for one in report.measured] == [
        (5.0, None),
        (None, "OSError: only one came"),
        (None, "its measurement did not return it"),
    ]


async def test_ours_and_the_ceiling_are_measured_in_turn_and_once_in_a_quick_run() -> None:
    async def turns(settings: BenchSettings) -> list[str]:
        done: list[str] = []

        async def measure(bench: Bench) -> Mapping[Line, Rounds]:
            return {OTHER: await bench.alternate(noted(done, "A"), noted(done, "B"))}

        await run(settings, frozenset({"b.rate"}), [Measurement([OTHER], measure)], lambda _: None)
        return done

    assert await turns(BenchSettings()) == ["A", "B"] * 3
    assert await turns(BenchSettings(quick=True)) == ["A", "B"]


def test_sizes_follow_the_scale_and_the_short_form() -> None:
    def size(settings: BenchSettings) -> int:
        return Bench(settings, frozenset(), None, None).scaled(400_000, quick=150_000)  # type: ignore[arg-type]

    assert size(BenchSettings()) == 400_000
    assert size(BenchSettings(quick=True)) == 150_000
    assert size(BenchSettings(scale=0.01)) == 4_000
    assert not BenchSettings(scale=0.01).is_full_size
    assert not BenchSettings(quick=True).is_full_size
    assert BenchSettings().is_full_size


def test_the_table_is_written_between_its_markers_and_the_notes_around_it_stay() -> None:
    document = f"# Speed\n\nby hand\n\n{BEGIN}\n\nold\n\n{END}\n\nalso by hand\n"
    fresh = with_table(document, "| new |")
    assert fresh == f"# Speed\n\nby hand\n\n{BEGIN}\n\n| new |\n\n{END}\n\nalso by hand\n"
    assert with_table(fresh, "| new |") == fresh


@pytest.mark.parametrize("document", ["# Speed\n", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_a_document_without_a_place_for_the_table_is_refused(document: str) -> None:
    with pytest.raises(MarkersMissing):
        with_table(document, "| new |")


def test_the_projects_own_document_has_a_place_for_the_table() -> None:
    assert with_table(DOCUMENT.read_text(encoding="utf-8"), "| new |").count("| new |") == 1


def test_the_table_tells_value_ceiling_ratio_spread_goal_and_what_failed() -> None:
    measured = [
        Measured(RATE, Rounds([9_000, 9_500, 8_000], [12_000, 12_500, 12_100], "a|remark")),
        Measured(COST, failed="OSError: no\nlong story"),
    ]
    told = records(measured, {"quick": False, "date": "2026-11-28", "commit": "abc", "cores": "2"})
    lines = list(rows_of(told))
    assert lines[0] == "cores: 2."
    assert lines[-2] == (
        "| `a.rate` \\* | 9,000 events/s | 12,100 | **0.74** | 8,000 to 9,500 |"
        " >= 0.7 of the ceiling, >= 10,000, missed | says; a/remark | 2026-11-28, abc |"
    )
    assert lines[-1] == "| `a.cost_us` | failed |  |  |  | <= 25 | OSError: no | 2026-11-28, abc |"
    assert "FAILED" in table(told)


def test_programs_read_the_lines_as_one_json_list(tmp_path: Path) -> None:
    report = Report([Measured(RATE, Rounds([9_000.123], [12_000])), Measured(COST, failed="why")])
    write_records(tmp_path / "a" / "latest.json", records(report.measured, {"cores": "2"}))
    rate, cost = json.loads((tmp_path / "a" / "latest.json").read_text(encoding="utf-8"))
    assert {name: rate[name] for name in ("name", "value", "unit", "ceiling", "ratio", "failed", "run")} == {
        "name": "a.rate", "value": 9_000, "unit": "events/s", "ceiling": 12_000, "ratio": 0.75, "failed": None,
        "run": {"cores": "2"},
    }  # fmt: skip
    assert (cost["value"], cost["failed"]) == (None, "why")


def figure(value: float) -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        return value

    return measure


def noted(done: list[str], name: str) -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        done.append(name)
        return 1.0

    return measure


# --- what is published


def published(name: str, value: float, **facts: str) -> Record:
    return {"name": name, "value": value, "run": {"date": "2026-11-28", "commit": "abc", "cores": "2", **facts}}


def test_a_run_of_some_lines_replaces_these_and_leaves_the_others() -> None:
    old = [published("b", 1, Kafka="4.1"), published("c", 1, Kafka="4.1"), published("gone", 1)]
    fresh = [published("c", 2, date="2026-11-29", commit="def"), published("a", 2)]
    assert [(one["name"], one["value"]) for one in merged(old, fresh, ["a", "b", "c"])] == [
        ("a", 2),
        ("b", 1),
        ("c", 2),
    ]


@pytest.mark.parametrize("other", [{"cores": "64"}, {"Kafka": "3.9"}])
def test_lines_of_another_machine_or_of_other_servers_are_not_mixed_with_fresh_ones(other: dict[str, str]) -> None:
    old = [published("a", 1), published("b", 1, **other)]
    assert [one["name"] for one in merged(old, [published("c", 2, Kafka="4.1")], ["a", "b", "c"])] == ["a", "c"]


def test_nothing_is_published_before_the_first_run(tmp_path: Path) -> None:
    assert read_published(tmp_path / "performance.json") == []


def test_a_quick_run_or_a_trial_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Sequence[Record]] = []
    monkeypatch.setattr(command, "_publish", told.append)
    report = Report([Measured(RATE, Rounds([9_000], [12_000]))], {"date": "2026-11-28", "commit": "abc"})
    for settings in (BenchSettings(quick=True, directory=tmp_path), BenchSettings(scale=0.01, directory=tmp_path)):
        command._keep(settings, report)
    assert told == []
    command._keep(BenchSettings(directory=tmp_path), report)
    assert [[line["name"] for line in lines] for lines in told] == [["a.rate"]]
