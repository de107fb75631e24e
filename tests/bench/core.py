"""How long the core needs for one event of a household with 20 live events: `python -m tests.bench.core [--json]`.

Each line is measured beside its own floor of work (the "ceiling"), round by round in turn, on warm code and a state
that has just been read, as the service has it. Values are medians, in microseconds; ratio = ceiling / value.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from statistics import median
from typing import Any

from services.scorer.core.household import HouseholdState, fold, new_household
from services.scorer.core.state_codec import decode, encode
from shared.events.catalogue import EVENT_TYPES
from shared.events.checking import read_payload
from shared.events.household_event import HouseholdEvent
from shared.policy import default_policies
from tests.factories import make_enrolment, make_event

POLICIES = default_policies()
ROUNDS, TIMES_A_ROUND, WARM_UP = 7, 400, 100
GOAL_US = 60.0

# Twenty that all count at once, in the proportions of an ordinary month.
LIVE: Sequence[tuple[str, dict[str, Any]]] = [
    *[("health.hospitalisation", {"self_pay_yuan": 900 + n}) for n in range(6)],
    *[("health.chronic_outpatient", {"monthly_self_pay_yuan": 60, "months": 3 + n}) for n in range(3)],
    *[("relief.medical_reimbursement", {"amount_yuan": f"{400 + n}.50"}) for n in range(4)],
    ("relief.temporary_assistance", {"amount_yuan": 300, "cause": "illness"}),
    ("work.hours_cut", {"monthly_loss_yuan": 200}),
    ("work.job_loss", {"monthly_loss_yuan": 700, "months": 3}),
    ("income.public_post", {"monthly_yuan": 500, "months": 6}),
    ("edu.cost", {"self_pay_yuan": 1500}),
    ("farm.crop_loss", {"amount_yuan": 800}),
    ("water.failure", {}),
]
NEXT: Sequence[tuple[str, dict[str, Any]]] = [
    ("health.hospitalisation", {"self_pay_yuan": 1200}),
    ("relief.medical_reimbursement", {"amount_yuan": "700.25"}),
    ("work.job_loss", {"monthly_loss_yuan": 900}),
    ("survey.visit", {"result": "no_change"}),
]


def household() -> HouseholdState:
    """An ordinary household that twenty events count for."""
    state = fold(new_household(), make_enrolment("2026-01-01"), POLICIES).state
    for place, (kind, payload) in enumerate(LIVE):
        state = fold(state, make_event(kind, date(2026, 1, 5) + timedelta(days=place), **payload), POLICIES).state
    assert len(state.entries) == len(LIVE) == 20
    return state


def next_events() -> list[HouseholdEvent]:
    """The events to fold, each recorded a week after the last one."""
    return [make_event(kind, "2026-01-31", **payload) for kind, payload in NEXT]


def measure() -> list[dict[str, Any]]:
    """All lines: {"name", "value", "unit", "ceiling", "ratio"}."""
    stored = encode(household())
    row = json.loads(stored)
    state = decode(stored)
    events = next_events()
    fold_us, bare_us = _alternate(
        lambda turn: (decode(stored), events[turn % len(events)]),
        lambda one: fold(one[0], one[1], POLICIES),
        lambda one: _bare(one[0], one[1]),
    )
    decode_us, loads_us = _alternate(lambda _: stored, decode, json.loads)
    encode_us, dumps_us = _alternate(
        lambda _: state, encode, lambda _: json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()
    )
    return [
        _line("core.fold_and_grade_us", fold_us, bare_us),
        _line("core.decode_state_us", decode_us, loads_us),
        _line("core.encode_state_us", encode_us, dumps_us),
    ]


def _bare(state: HouseholdState, event: HouseholdEvent) -> bool:
    """The least that any fold must do: read the payload, add up what counts by cause, compare with the line."""
    read_payload(EVENT_TYPES[event.type], event.payload)
    sums = [[0] * 11 for _ in range(5)]
    for entry in state.entries:
        for effect in entry.effects:
            if effect[0] < 5:
                sums[effect[0]][effect[1]] += effect[2]
    total = sum(sums[2]) + sum(sums[3]) + sum(sums[4]) - sum(sums[0]) - sum(sums[1])
    return total < 870_000 * 4


def _alternate(
    prepare: Callable[[int], Any], ours: Callable[[Any], object], ceiling: Callable[[Any], object]
) -> tuple[float, float]:
    """Median microseconds of one call of each, measured in turn; what `prepare` does for a call is not counted."""
    for work in (ours, ceiling):
        _round(prepare, work, WARM_UP)
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for work, times in zip((ours, ceiling), taken, strict=True):
            times.append(_round(prepare, work, TIMES_A_ROUND))
    return median(taken[0]), median(taken[1])


def _round(prepare: Callable[[int], Any], work: Callable[[Any], object], times: int) -> float:
    taken = []
    for turn in range(times):
        one = prepare(turn)
        started = time.perf_counter_ns()
        work(one)
        taken.append(time.perf_counter_ns() - started)
    return median(taken) / 1000


def _line(name: str, value: float, ceiling: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 2),
        "unit": "us",
        "ceiling": round(ceiling, 2),
        "ratio": round(ceiling / value, 3),
    }


def main() -> None:
    """Print a table, or with --json the lines as one JSON list."""
    lines = measure()
    if "--json" in sys.argv[1:]:
        print(json.dumps(lines, indent=1))
        return
    print(f"{'line':<26}{'median':>10}{'ceiling':>10}{'ratio':>8}")
    for line in lines:
        print(f"{line['name']:<26}{line['value']:>8} us{line['ceiling']:>7} us{line['ratio']:>8}")
    print(f"goal for core.fold_and_grade_us: {GOAL_US:.0f} us")


if __name__ == "__main__":
    main()
