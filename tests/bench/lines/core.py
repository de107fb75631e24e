"""How long the core needs for one event of a household with 20 live events, and for a history of 500.

On warm code and a state that has just been read, as the service has it.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from random import Random
from typing import Any

from services.scorer.core.household import HouseholdState, fold, new_household, replay
from services.scorer.core.state_codec import decode, encode
from shared.events.catalogue import EVENT_TYPES
from shared.events.checking import read_payload
from shared.events.household_event import HouseholdEvent
from shared.policy import default_policies
from tests.bench.bench import Bench
from tests.bench.call_times import call_times
from tests.bench.line import Goal, Line, Rounds
from tests.bench.measurement import Measurement
from tests.factories import make_enrolment, make_event

POLICIES = default_policies()
HISTORY = 500

FOLD = Line(
    "core.fold_and_grade_us", "us",
    "fold and grade one event of a household with 20 live ones; ceiling: read its payload, add up what counts by"
    " cause, compare with the line",
    quick=True, goal=Goal(most=25), less_is_better=True,
)  # fmt: skip
DECODE = Line(
    "core.decode_state_us", "us", "read the stored state of that household; ceiling: json.loads of its bytes",
    less_is_better=True,
)  # fmt: skip
ENCODE = Line(
    "core.encode_state_us", "us", "write the state of that household; ceiling: json.dumps of what is written",
    less_is_better=True,
)  # fmt: skip
REPLAY = Line(
    "core.replay_500_events_ms", "ms",
    "build a household from its ledger of 500 events over 2 years; ceiling: read the 500 payloads, add up once",
    less_is_better=True,
)  # fmt: skip

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


@cache
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


def history(length: int) -> list[HouseholdEvent]:
    """An enrolment and what followed, as the ledger has it: rising days over two years, a visit every ten events."""
    chance = Random("history")
    events = [make_enrolment("2024-01-01")]
    for place in range(1, length):
        kind, payload = NEXT[3] if place % 10 == 0 else chance.choice(LIVE)
        events.append(make_event(kind, date(2024, 1, 1) + timedelta(days=730 * place // length), **payload))
    return events


async def fold_one(bench: Bench) -> Mapping[Line, Rounds]:
    """Fold and grade."""
    stored, events = encode(household()), next_events()
    rounds = call_times(
        bench,
        lambda turn: (decode(stored), events[turn % len(events)]),
        lambda one: fold(one[0], one[1], POLICIES),
        lambda one: _bare(one[1]),
    )
    return {FOLD: rounds}


async def state_codec(bench: Bench) -> Mapping[Line, Rounds]:
    """Read and write the stored state."""
    state = household()
    stored = encode(state)
    documents = _documents(stored)
    return {
        DECODE: call_times(bench, lambda _: stored, decode, _documents),
        ENCODE: call_times(
            bench,
            lambda _: state,
            encode,
            lambda _: json.dumps(documents, ensure_ascii=False, separators=(",", ":")).encode(),
        ),
    }


async def replay_history(bench: Bench) -> Mapping[Line, Rounds]:
    """Replay a long ledger."""
    events = history(bench.scaled(HISTORY, least=20))
    until = events[-1].recorded_on
    rounds = call_times(
        bench,
        lambda _: events,
        lambda given: replay(given, until, POLICIES),
        lambda given: _bare_replay(given),
        times=20,
        per_second=1e3,
    )
    return {REPLAY: rounds}


def _bare(event: HouseholdEvent) -> bool:
    """The least that any fold must do."""
    read_payload(EVENT_TYPES[event.type], event.payload)
    return _below_line(household())


def _documents(stored: bytes) -> tuple[Any, Any]:
    """Both lines of a stored state: all that can change, and the rows of the evidence."""
    head, _, rows = stored.partition(b"\n")
    return json.loads(head), json.loads(b"[%b]" % rows)


def _bare_replay(events: Sequence[HouseholdEvent]) -> bool:
    """The least that any replay must do."""
    for event in events:
        read_payload(EVENT_TYPES[event.type], event.payload)
    return _below_line(household())


def _below_line(state: HouseholdState) -> bool:
    sums = [[0] * 11 for _ in range(5)]
    for entry in state.entries:
        for effect in entry.effects:
            if effect[0] < 5:
                sums[effect[0]][effect[1]] += effect[2]
    total = sum(sums[2]) + sum(sums[3]) + sum(sums[4]) - sum(sums[0]) - sum(sums[1])
    return total < 870_000 * 4


MEASUREMENTS = [
    Measurement([FOLD], fold_one),
    Measurement([DECODE, ENCODE], state_codec),
    Measurement([REPLAY], replay_history),
]
