"""The whole machine's benchmark: who is told, what journals say, how a long run and a sizing table are worked out."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.local.places import REPOSITORY
from services.ingest.load.connection import Reply
from services.ingest.load.parcels import Parcel
from tests.bench.document import DOCUMENT, with_table
from tests.bench.house.graded import GradedTally
from tests.bench.house.hearing import first_heard, most_to_one_person
from tests.bench.house.mails import Mails
from tests.bench.house.people import county_staff, county_villages, write_people
from tests.bench.house.receiver import Received, read_journal
from tests.bench.lines.end_to_end import FINEST, next_rate
from tests.bench.lines.sizes import growth
from tests.bench.processes import machine_cpu_seconds, tree_cpu_seconds
from tests.bench.sizing import (
    BEGIN,
    END,
    NEEDED,
    PLACES,
    NotMeasured,
    Place,
    measured_figures,
    need,
    table,
    table_zh,
    write_sizing,
)
from tests.bench.soak.run import Plan, Soaked
from tests.bench.soak.show import BEGIN as SOAK_BEGIN
from tests.bench.soak.show import END as SOAK_END
from tests.bench.soak.show import as_document, lines_of
from tests.bench.soak.trend import Series, slope
from tests.told import Message, Named, read_webhook

FIGURES: Mapping[str, float] = {
    "end_to_end.events_per_second": 700.0,
    "scorer.events_per_second": 10_000.0,
    "ingest.memory_mb": 100.0,
    "scorer.memory_mb": 300.0,
    "notifier.memory_mb": 150.0,
    "size.log_bytes_per_event": 500.0,
    "size.database_bytes_per_event": 1_000.0,
    "size.database_bytes_per_household": 4_000.0,
    "size.database_bytes_per_alert": 20_000.0,
}
FACTS = {"date": "2026-11-28", "commit": "abc", "cores": "2", "memory": "24 GiB"}


def measured(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": name, "value": value, "run": FACTS, **changes} for name, value in FIGURES.items()]


# --- people and journals


def test_of_fifty_people_five_work_for_the_county_ten_for_townships_and_each_village_has_its_cadre(
    tmp_path: Path,
) -> None:
    staff, villages = county_staff(50, "http://127.0.0.1:1"), county_villages(50)
    assert Counter(one.role for one in staff) == {"county": 5, "township": 10, "cadre": 35}
    assert [one.division for one in staff if one.role == "cadre"] == villages
    assert len({one.staff_id for one in staff}) == 50
    assert all(one.email or one.webhook_url for one in staff)
    divisions, people = write_people(tmp_path, villages, staff)
    known = {line.partition(",")[0] for line in divisions.read_text(encoding="utf-8").splitlines()}
    assert {one.division for one in staff} <= known
    assert len(people.read_text(encoding="utf-8").splitlines()) == 51


def test_a_message_names_one_household_and_a_digest_all_that_are_new_in_it() -> None:
    alone = {"type": "cn.shouwang.alert.opened.v1", "alert_id": "a", "household_id": "B1"}
    rows = [{"alert_id": at, "household_id": f"B{at}", "is_new": at != "2"} for at in "123"]
    digest = {"type": "cn.shouwang.alert.digest.v1", "digest_id": "d1", "alerts": rows}
    for body, households in ((alone, ["B1"]), (digest, ["B1", "B3"])):
        assert Received(0, "a", "m", read_webhook(json.dumps(body))).households == households


def heard(at: float, staff: str, message_id: str, *alerts: str) -> Received:
    return Received(at, staff, message_id, Message(tuple(Named(one, None) for one in alerts), "d"))


def test_an_alert_counts_as_heard_when_it_was_first_named_to_anybody() -> None:
    assert first_heard([heard(9, "a", "m1", "x", "y"), heard(5, "b", "m2", "y")]) == {"x": 9, "y": 5}


def test_messages_to_one_person_are_counted_over_all_channels_in_any_ten_minutes_and_repeats_once() -> None:
    messages = [heard(at, "a", f"m{number}") for number, at in enumerate([0, 500, 599, 600, 1_101])]
    repeats = [heard(700, "a", "m2"), heard(700, "b", "m9")]
    assert most_to_one_person([*messages, *repeats], 600) == 4
    assert most_to_one_person([], 600) == 0


def test_the_journals_are_read_up_to_the_last_whole_line(tmp_path: Path) -> None:
    body = json.dumps({"type": "cn.shouwang.alert.opened.v1", "alert_id": "a2", "household_id": "B2"})
    hook = {"at": 1_795_824_002.0, "staff": "county-0", "id": "m2", "body": body}
    mail = {"received_at": "2026-11-28T00:00:01.500+00:00", "to": ["cadre-1@staff.example"], "message_id": "<m1@x>"}
    text = "Household: H-1\nhttp://127.0.0.1/alerts/a1\n"
    mails, hooks = tmp_path / "mail.jsonl", tmp_path / "hooks"
    mails.write_text(json.dumps(mail | {"text": text}) + '\n{"half', encoding="utf-8")
    hooks.write_text(json.dumps(hook) + '\n{"half', encoding="utf-8")
    [one], [other] = Mails(1, mails).received(), read_journal(hooks)
    assert (one.staff, one.message_id, one.said.alert_id) == ("cadre-1", "<m1@x>", "a1")
    assert (other.staff, other.message_id, other.said.alert_id) == ("county-0", "m2", "a2")
    assert one.at % 1 == 0.5


# --- rates


def answer(tally: GradedTally, offset: int, intended: float) -> None:
    body = json.dumps({"id": "e", "status": "accepted", "partition": 3, "offset": offset}).encode()
    tally.answered(Parcel([b"{}"], intended=intended), Reply(202, None, body), intended + 0.1)


def test_an_event_is_graded_when_the_position_has_passed_it_in_whatever_order_the_answers_came() -> None:
    tally = GradedTally()
    for offset, intended in ((8, 1.0), (7, 0.5), (9, 1.5)):
        answer(tally, offset, intended)
    tally.passed(3, 9, 4.0)
    assert (sorted(tally.graded), tally.ungraded) == ([3.0, 3.5], 1)
    tally.passed(2, 100, 5.0)
    assert tally.ungraded == 1


def test_the_events_of_a_batch_are_graded_each_at_its_own_place() -> None:
    tally = GradedTally()
    results = [
        {"index": 0, "id": "a", "status": "accepted", "partition": 3, "offset": 7},
        {"index": 1, "id": "b", "status": "refused", "problem": {"type": "https://x/invalid-event"}},
        {"index": 2, "id": "c", "status": "accepted", "partition": 5, "offset": 1},
    ]
    parcel = Parcel([b"{}"] * 3, is_batch=True, intended=1.0)
    tally.answered(parcel, Reply(207, None, json.dumps({"results": results}).encode()), 1.1)
    assert tally.ungraded == 2
    tally.passed(3, 8, 2.0)
    assert (list(tally.graded), tally.ungraded) == ([1.0], 1)


@pytest.mark.parametrize("most", [30.0, 140.0, 499.0, 501.0, 3_000.0])
def test_the_search_ends_close_below_what_the_machine_can_do(most: float) -> None:
    good, bad, rate, steps = None, float("inf"), 500.0, 0
    while good is None or bad / good > FINEST:
        if rate <= most:
            good = rate
        else:
            bad = rate
        rate, steps = next_rate(good, bad), steps + 1
    assert most / FINEST <= good <= most
    assert steps <= 12


def test_the_machines_processor_time_holds_that_of_every_process() -> None:
    own = tree_cpu_seconds(os.getpid())
    assert own > 0
    assert machine_cpu_seconds() >= own


def test_only_tables_that_grew_are_told_of_the_largest_first() -> None:
    before = {"event_ledger": 100, "outbox": 50, "household_state": 10}
    after = {"event_ledger": 130, "outbox": 40, "household_state": 90, "clue": 5}
    assert list(growth(before, after).items()) == [("household_state", 80), ("event_ledger", 30), ("clue", 5)]


# --- a long run


def test_a_slope_is_that_of_the_nearest_straight_line() -> None:
    assert slope([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2)
    assert slope([(0, 1), (1, 2), (2, 0), (3, 1)]) == pytest.approx(-0.2)
    assert slope([(5, 1)]) == slope([]) == 0


def test_what_fills_at_the_beginning_is_no_growth() -> None:
    series = Series("memory", "MB")
    for seconds in range(0, 1_201, 5):
        series.add(seconds, min(200.0, seconds))
    assert series.slope_per_hour == pytest.approx(0)
    assert (series.first, series.last, series.most) == (200, 200, 200)


def soaked(settled: float | None) -> Soaked:
    tally = GradedTally()
    tally.begin(Parcel([b"{}"]))
    answer(tally, 7, 0.5)
    tally.passed(3, 8, 1.0)
    series = Series("memory of ingest", "MB")
    for minute in range(21):
        series.add(minute * 60, 100 + minute / 10)
    return Soaked(Plan(20, 1_000, 200_000), tally, [series], 0.2, settled, {"date": "2026-11-28"})


def test_a_long_run_tells_slopes_and_what_is_behind() -> None:
    lines = list(lines_of(soaked(1.25)))
    assert "1 of 1 events were taken" in lines[2]
    assert "The last grade came 1.2 s after the last event." in lines[2]
    assert lines[-1] == "| memory of ingest | 100.5 MB | 102 MB | 102 MB | +6.0 MB |"
    written = as_document(soaked(1.25))
    assert (written["passed"], written["series"][0]["slope_per_hour"]) == (True, 6.0)
    json.dumps(written)


def test_a_long_run_that_does_not_catch_up_is_no_good_one() -> None:
    assert not soaked(None).is_good
    assert any("two minutes after" in line for line in lines_of(soaked(None)))


def test_the_document_has_a_place_for_the_long_run() -> None:
    fresh = with_table(DOCUMENT.read_text(encoding="utf-8"), "| new |", begin=SOAK_BEGIN, end=SOAK_END)
    assert fresh.count("| new |") == 1


# --- the sizing table


def test_a_place_needs_what_its_events_cost() -> None:
    found = need(Place("county", "县", 80_000), FIGURES)
    assert found.mean == pytest.approx(80_000 * 0.13 / 86_400)
    assert found.flood == pytest.approx(16 * found.mean)
    assert (found.machines, found.scorers, found.partitions) == (1, 1, 12)
    assert found.memory_mb == 100 + 300 + 150
    events = 80_000 * 0.13 * 365
    log = 80_000 * 0.13 * 30 * 500
    assert found.disk_gb == pytest.approx((80_000 * 4_000 + events * 1_000 + events / 10 * 20_000 + log) / 1e9)


def test_a_part_has_to_carry_half_of_what_it_can_at_most() -> None:
    nation = need(PLACES[-1], FIGURES)
    assert nation.flood == pytest.approx(722, abs=1)
    # 722 events a second want more than two machines that carry 350 each.
    assert (nation.machines, nation.scorers) == (3, 3)
    slow = need(PLACES[-1], {**FIGURES, "scorer.events_per_second": 100.0})
    assert (slow.scorers, slow.partitions) == (15, 24)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (measured()[1:], "end_to_end.events_per_second"),
        (measured(value=None), "size.log_bytes_per_event"),
    ],
)
def test_a_table_is_not_made_of_figures_that_are_missing(lines: Sequence[dict[str, Any]], said: str) -> None:
    with pytest.raises(NotMeasured, match=said):
        measured_figures(lines)


def test_both_tables_have_a_row_for_each_place_and_tell_the_assumptions(tmp_path: Path) -> None:
    for name in ("README.md", "README.zh-CN.md"):
        (tmp_path / name).write_text(f"before\n\n{BEGIN}\nof yesterday\n{END}\n\nafter\n", encoding="utf-8")
    write_sizing(measured(), tmp_path)
    english, chinese = ((tmp_path / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))
    for text, rows, words in ((english, table, "Assumed: 0.13"), (chinese, table_zh, "假设：每户每天 0.13")):
        assert text.startswith("before") and text.endswith("after\n") and "of yesterday" not in text
        assert next(iter(rows(FIGURES, FACTS))) in text
        assert words in text
    assert "| nation | 30,000,000 | 45, 722 | 3 |" in english
    assert "| 全国 | 30,000,000 | 45, 722 | 3 |" in chinese


def test_both_readmes_have_a_place_for_the_table() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert with_table(text, "| new |", begin=BEGIN, end=END).count("| new |") == 1


def test_every_line_that_the_table_needs_is_measured() -> None:
    from tests.bench.lines import MEASUREMENTS

    names = {line.name for measurement in MEASUREMENTS for line in measurement.lines}
    assert set(NEEDED) <= names
