"""What holds for any history: repeats and the order of households change nothing, harm never helps, no day is late."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scorer.core.household import replay
from services.scorer.core.state_codec import encode
from services.scorer.fold_household import NeedsHistory, Outcome, fold_household
from services.scorer.read_record import ReceivedEvent
from shared.events.catalogue import EVENT_TYPES
from shared.events.effects import Breach, Housing, Kind, Money, Structure
from shared.events.household_event import HouseholdEvent, SourceClass
from shared.policy import default_policies, load_policies
from tests.rules.due_days import DueDays, walk
from tests.rules.histories import SOURCES, payload_for, random_case
from tests.rules.live import with_enrolment

POLICIES = default_policies()
JURISDICTIONS = load_policies()
NOW = datetime(2026, 3, 2, tzinfo=UTC)
EASY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
HOUSEHOLDS = int(os.environ.get("RULES_DUE_HOUSEHOLDS", "60"))
randoms = st.randoms(use_true_random=False)


def _harms(kind: str) -> bool:
    """Expense, loss or breach, and nothing else: members, labour, and a house that may come out better are left out."""
    effects = EVENT_TYPES[kind].effects
    if any(
        isinstance(effect, Structure) or (isinstance(effect, Housing) and not effect.worsens_only) for effect in effects
    ):
        return False
    costs = any(isinstance(effect, Money) and effect.kind in (Kind.LOSS, Kind.EXPENSE) for effect in effects)
    return costs or any(isinstance(effect, Breach) for effect in effects)


HARMFUL = sorted(kind for kind in EVENT_TYPES if _harms(kind))


@EASY
@given(randoms, st.sampled_from(HARMFUL), st.sampled_from(sorted(set(SOURCES))))
def test_an_added_expense_loss_or_breach_never_improves_the_raw_grade_of_its_day(
    random: Random, kind: str, source: str
) -> None:
    case = random_case(random, most_days=200)
    events, as_of = with_enrolment(case, 0), date.fromisoformat(case["as_of"])
    payload = {name: value for name, value in payload_for(random, kind).items() if name != "episode"}
    occurred_on = as_of - timedelta(days=random.choice([0, 0, 3, 40]))
    harm = HouseholdEvent("harm", kind, occurred_on, as_of, SourceClass(source), payload)
    before, after = replay(events, as_of, POLICIES).decision, replay([*events, harm], as_of, POLICIES).decision
    assert before is not None and after is not None
    assert after.raw_grade >= before.raw_grade
    assert after.score >= before.score


@EASY
@given(randoms)
def test_a_ledger_with_repeated_deliveries_gives_the_same_household(random: Random) -> None:
    events = with_enrolment(random_case(random), random.randint(0, 6))
    repeated: list[HouseholdEvent] = []
    for place, event in enumerate(events):
        repeated.append(event)
        if random.random() < 0.6:
            again = random.choice(events[: place + 1])
            repeated.append(replace(again, recorded_on=event.recorded_on))
    as_of = events[-1].recorded_on
    assert encode(replay(repeated, as_of, POLICIES).state) == encode(replay(events, as_of, POLICIES).state)


def _received(household_id: str, event: HouseholdEvent) -> ReceivedEvent:
    at = datetime.combine(event.recorded_on, datetime.min.time(), UTC) + timedelta(hours=4)
    identity = f"{household_id}|{event.source}|{event.event_id}".encode()
    return ReceivedEvent(identity, identity, household_id, "990100101201", at, None, 0, event, b"{}")


def _lane(random: Random, household_id: str) -> list[ReceivedEvent]:
    case = random_case(random, most_events=6, most_days=90)
    return [_received(household_id, event) for event in with_enrolment(case, random.randint(0, 4))]


def _scored(log: Sequence[ReceivedEvent], random: Random) -> dict[str, tuple[Any, ...]]:
    """Score a log in batches of any size, as the service does; what is left of each household in the end."""
    outcomes: dict[str, Outcome] = {}
    ledgers: dict[str, list[HouseholdEvent]] = {}
    told: dict[str, list[Any]] = {}
    rest = list(log)
    while rest:
        size = random.randint(1, 9)
        batch, rest = rest[:size], rest[size:]
        for household_id in dict.fromkeys(one.household_id for one in batch):
            ours = [one for one in batch if one.household_id == household_id]
            stored = outcomes[household_id].state if household_id in outcomes else None
            ledger = ledgers.setdefault(household_id, [])
            try:
                outcome = fold_household(stored, ours, None, NOW, JURISDICTIONS)
            except NeedsHistory:
                outcome = fold_household(stored, ours, ledger, NOW, JURISDICTIONS)
            outcomes[household_id] = outcome
            ledger += [replace(row.received.event, recorded_on=row.recorded_on) for row in outcome.ledger]
            told.setdefault(household_id, []).extend(outcome.changes)
    return {household_id: (outcome.state, told[household_id]) for household_id, outcome in outcomes.items()}


@settings(EASY, max_examples=30)
@given(randoms)
def test_the_order_of_different_households_and_the_cut_of_batches_change_nothing(random: Random) -> None:
    lanes = [_lane(random, f"H{number}") for number in range(4)]
    one_after_another = [event for lane in lanes for event in lane]
    turns = [number for number, lane in enumerate(lanes) for _ in lane]
    random.shuffle(turns)
    waiting = [iter(lane) for lane in lanes]
    mixed = [next(waiting[number]) for number in turns]
    assert _scored(one_after_another, random) == _scored(mixed, random)


@pytest.mark.parametrize("seed", range(5000, 5000 + HOUSEHOLDS))
def test_next_due_on_is_never_late_in_400_days(seed: int) -> None:
    assert walk(seed).wrong == []


def test_next_due_on_is_rarely_early() -> None:
    days = DueDays()
    for seed in range(6000, 6012):
        days += walk(seed)
    assert days.due and days.early <= days.due / 5, days
