"""The comparison with other frameworks: the toy job, what counts as safe, the judging, the figures and the table."""

import json
import pickle
import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bench import results
from tests.bench.document import DOCUMENT
from tests.bench.line import Line, Measured
from tests.bench.peers.durable import BytewaxStore, Safe
from tests.bench.peers.entrants import ENTRANTS, FOLDER, JAVA_FOLDER, OURS, chosen
from tests.bench.peers.figures import COLD, CPU, RATE, WARM, Outcome, Run, lines
from tests.bench.peers.install import CannotInstall, check_jars
from tests.bench.peers.load import Expected, expected, records
from tests.bench.peers.measure import WrongResult, check
from tests.bench.peers.table import lines_of, write_document
from tests.bench.peers.toy import THRESHOLDS_FEN, fold, fold_all

QUIX, OWN = (next(one for one in ENTRANTS if one.name == name) for name in ("quix", OURS))


def run(seconds: float, *, cpu: float = 1.0, servers: float | None = 0.5) -> Run:
    return Run(
        events=10_000,
        start_seconds=1.0,
        seconds=seconds,
        second_half=(4_000, seconds / 4),
        cpu_seconds=cpu,
        servers_cpu_seconds=servers,
        peak_memory_mb=80.0,
    )


def alert(household_id: str, events: int, old: int, new: int) -> Any:
    value = {"household_id": household_id, "events": events, "old": old, "new": new}
    return SimpleNamespace(value=json.dumps(value).encode())


# The job


@pytest.mark.parametrize(
    ("before", "amount_fen", "after", "told"),
    [
        (None, THRESHOLDS_FEN[0] - 1, [1, THRESHOLDS_FEN[0] - 1, 0], None),
        (None, THRESHOLDS_FEN[0], [1, THRESHOLDS_FEN[0], 1], (0, 1)),
        ([4, THRESHOLDS_FEN[1], 2], -1, [5, THRESHOLDS_FEN[1] - 1, 1], (2, 1)),
        ([9, THRESHOLDS_FEN[3], 4], 5, [10, THRESHOLDS_FEN[3] + 5, 4], None),
    ],
)
def test_an_alert_is_told_when_the_amount_crosses_a_threshold_either_way(
    before: list[int] | None, amount_fen: int, after: list[int], told: tuple[int, int] | None
) -> None:
    state, made = fold("H1", before, amount_fen)
    assert state == after
    assert (None if made is None else (made["old"], made["new"])) == told


def test_a_household_twice_in_one_batch_is_counted_on_from_its_first_event() -> None:
    changed, alerts = fold_all({"H1": [3, 100, 0]}, [("H1", 200), ("H2", 5), ("H1", 300)])
    assert (changed, alerts) == ({"H1": [5, 600, 0], "H2": [1, 5, 0]}, [])


def test_the_java_entrant_has_the_same_thresholds() -> None:
    written = re.search(r"THRESHOLDS_FEN = \{(.*?)\}", (JAVA_FOLDER / "ToyJob.java").read_text(encoding="utf-8"))
    assert written is not None
    assert tuple(int(part) for part in written[1].split(",")) == THRESHOLDS_FEN


def test_the_same_events_are_made_each_time_and_all_of_them_are_expected() -> None:
    made = list(records(2_000, 200))
    assert made == list(records(2_000, 200))
    assert {len(value) // 50 * 50 for _, value in made} <= set(range(350, 600, 50))
    right = expected(2_000, 200)
    assert sum(state[0] for state in right.counters.values()) == 2_000
    assert 100 < sum(map(len, right.alerts.values())) < 400


# What is safe


@pytest.mark.parametrize(
    ("offsets", "alerts_wait", "events"),
    [
        ({}, False, 0),
        ({0: 3}, False, 3),
        ({0: 5, 1: 9}, False, 12),  # behind the end, where a transaction leaves its mark
        ({0: 5, 1: 7}, True, 11),
    ],
)
def test_all_events_are_safe_only_when_every_partition_is_read_and_no_alert_waits(
    offsets: Mapping[int, int], alerts_wait: bool, events: int
) -> None:
    assert Safe(offsets, alerts_wait).events({0: 5, 1: 7}) == events


async def test_of_bytewax_only_snapshots_before_the_frontier_are_safe(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "part-0.sqlite3") as store:
        store.execute("CREATE TABLE fronts (worker_frontier INTEGER)")
        store.execute("CREATE TABLE snaps (step_id TEXT, state_key TEXT, snap_epoch INTEGER, ser_change BLOB)")
        store.execute("INSERT INTO fronts VALUES (8)")
        for step, key, epoch, change in [
            ("peers.read.kafka_input", "3-events", 6, 40),
            ("peers.read.kafka_input", "3-events", 7, 50),
            ("peers.read.kafka_input", "3-events", 8, 60),
            ("peers.fold.stateful", "H1", 5, [2, 700, 0]),
            ("peers.fold.stateful", "H1", 8, [3, 900, 0]),
        ]:
            store.execute("INSERT INTO snaps VALUES (?, ?, ?, ?)", (step, key, epoch, pickle.dumps(change)))
    store.close()
    looked = BytewaxStore(tmp_path)
    assert (await looked.safe()).next_offsets == {3: 50}
    assert await looked.counters() == {"H1": [2, 700, 0]}


# The judging

RIGHT = Expected({"H1": [2, 500, 1], "H2": [1, 5, 0]}, {"H1": [(1, 0, 2), (2, 2, 1)]})
TOLD = [alert("H1", 1, 0, 2), alert("H1", 2, 2, 1)]


def test_an_entrant_that_did_its_job_is_let_through() -> None:
    check(RIGHT, dict(RIGHT.counters), TOLD)


@pytest.mark.parametrize(
    ("counters", "alerts", "wrong"),
    [
        ({"H1": [2, 500, 1]}, TOLD, "counters: 1 households differ, such as H2"),
        ({"H1": [3, 500, 1], "H2": [1, 5, 0]}, TOLD, "such as H1"),
        ({"H1": [2, 500, 1], "H2": [1, 5, 0], "H3": [1, 1, 0]}, TOLD, "such as H3"),
        (dict(RIGHT.counters), TOLD[:1], "alerts"),
        (dict(RIGHT.counters), [*TOLD, TOLD[1]], "alerts"),
        (dict(RIGHT.counters), TOLD[::-1], "alerts"),
    ],
)
def test_a_lost_doubled_or_misplaced_effect_is_found(
    counters: dict[str, list[int]], alerts: Sequence[Any], wrong: str
) -> None:
    with pytest.raises(WrongResult, match=wrong):
        check(RIGHT, counters, alerts)


# The figures


def test_medians_count_and_ours_stands_beside_them_so_that_above_one_is_better() -> None:
    theirs = Outcome(QUIX, [run(4.0, cpu=3.0), run(5.0, cpu=2.0), run(100.0, cpu=2.5)])
    ours = Outcome(OWN, [run(2.0), run(2.5), run(1.0)])
    found = {line["name"]: line for line in lines([theirs, ours], {"scale": 1.0, "rounds": "3"})}
    rate, cpu = found["peers.quix_events_per_second"], found["peers.quix_cpu_us_per_event"]
    assert (rate["value"], rate["ceiling"], rate["ratio"]) == (2_000, 5_000, 2.5)
    assert (rate["min"], rate["max"], rate["rounds"], rate["run"]["scale"]) == (100, 2_500, 3, 1.0)
    assert (cpu["value"], cpu["ceiling"], cpu["ratio"]) == (250, 100, 2.5)
    assert found["peers.ours_events_per_second"]["ratio"] is None


def test_a_line_has_the_fields_of_every_other_benchmark() -> None:
    (first, *_) = lines([Outcome(OWN, [run(2.0)])], {})
    assert first.keys() == results.records([Measured(Line("a", "b", "c"))], {})[0].keys()


def test_the_second_half_and_the_start_are_figures_of_their_own() -> None:
    assert (RATE.of(run(4.0)), WARM.of(run(4.0)), COLD.of(run(4.0))) == (2_500, 4_000, 2_000)


def test_an_entrant_that_failed_once_has_no_figures() -> None:
    outcome = Outcome(QUIX, [run(4.0)], failed="WrongResult: counters")
    assert outcome.median(RATE) is None
    assert all(line["value"] is None and line["failed"] for line in lines([outcome], {}))


def test_what_is_not_known_in_one_round_is_not_told() -> None:
    outcome = Outcome(QUIX, [run(4.0), run(4.0, servers=None)])
    servers = next(line for line in lines([outcome], {}) if "servers" in line["name"])
    assert (servers["value"], outcome.median(CPU)) == (None, 100)


# The table


def test_the_table_tells_the_fastest_first_and_who_did_not_run_last(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_bytes(DOCUMENT.read_bytes())
    java = next(one for one in ENTRANTS if one.module is None)
    outcomes = [Outcome(java, failed="there is no mvn\non PATH"), Outcome(QUIX, [run(4.0)]), Outcome(OWN, [run(2.0)])]
    write_document(page, outcomes, {"cores": "2"})
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][-3:]
    assert rows[0].startswith("| **Shouwang's ConsumerLoop** | 5,000 |")
    assert rows[1].startswith("| Quix Streams ") and "| **2.00** |" in rows[1]
    assert "not run: there is no mvn on PATH" in rows[2]
    assert len({row.count("|") for row in lines_of(outcomes, {}) if row.startswith("|")}) == 1


# The entrants


def test_ours_is_always_there_and_an_unknown_name_is_refused() -> None:
    assert [one.name for one in chosen(["quix"])] == ["quix", OURS]
    assert len(chosen([])) == len(ENTRANTS)
    with pytest.raises(ValueError, match=r"storm.*quix"):
        chosen(["storm"])


def test_every_framework_has_a_locked_version() -> None:
    assert {one.name: bool(one.version) for one in ENTRANTS} == {one.name: one.name != OURS for one in ENTRANTS}


def test_the_environments_are_locked_with_hashes_and_hold_no_addresses() -> None:
    locks = sorted((FOLDER / "requirements").glob("*.txt"))
    assert len(locks) == sum(one.module is not None for one in ENTRANTS) - 1
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        pinned = re.findall(r"^[a-zA-Z0-9._-]+(?:\[[a-z,0-9]+\])?==.*\\$", text, re.M)
        assert "://" not in text
        assert len(pinned) == len(re.findall(r"^[a-zA-Z0-9]", text, re.M)) > 5, f"{lock.name}: something is not hashed"
    assert "://" not in (JAVA_FOLDER / "pom.xml").read_text(encoding="utf-8")


def test_a_jar_that_is_not_the_committed_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"one")
    sums = tmp_path / "jars.sha256"
    sums.write_text("7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed  a.jar\n", encoding="ascii")
    check_jars(tmp_path, sums)
    (tmp_path / "a.jar").write_bytes(b"two")
    with pytest.raises(CannotInstall, match=r"a\.jar"):
        check_jars(tmp_path, sums)
