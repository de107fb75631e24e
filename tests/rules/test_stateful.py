"""A household lived step by step, in any order of steps.

Its state is always the fold of its ledger, and its result the one that the naive reading of the rules gives for it.
"""

from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.scorer.core.household import fold, replay
from services.scorer.core.state_codec import encode
from shared.events.household_event import HouseholdEvent, SourceClass
from shared.policy import default_policies
from tests.rules.histories import KINDS, SOURCES, START, enrolment, payload_for, random_case
from tests.rules.live import LiveHousehold
from tests.rules.reference import grade_case

POLICIES = default_policies()
LONGEST_DAYS = 150
randoms = st.randoms(use_true_random=False)


class HouseholdLife(RuleBasedStateMachine):
    """Events, events about events, repeats, passing days and reloads."""

    @initialize(random=randoms)
    def enrol(self, random: Random) -> None:
        self.case = random_case(random, most_events=0, most_days=0)
        self.live = LiveHousehold(POLICIES)
        self.day = max(START, date.fromisoformat(self.case["household"]["enrolled_on"]))
        self.live.take(enrolment(self.case, self.day))
        self.live.tick(self.day)

    def _take(self, kind: str, payload: dict[str, Any], occurred_on: date, source: str, episode: str | None) -> None:
        number = len(self.live.ledger)
        event = HouseholdEvent(
            f"e{number}", kind, occurred_on, self.day, SourceClass(source), payload, episode, "register"
        )
        self.live.take(event)

    @rule(
        random=randoms,
        kind=st.sampled_from(KINDS),
        days_late=st.integers(-1, 30),
        source=st.sampled_from(SOURCES),
        episode=st.sampled_from([None, None, "p1", "p2"]),
    )
    def an_event(self, random: Random, kind: str, days_late: int, source: str, episode: str | None) -> None:
        self._take(kind, payload_for(random, kind), self.day - timedelta(days=days_late), source, episode)

    @rule(
        random=randoms,
        kind=st.sampled_from(["event.verified", "event.refuted", "event.corrected"]),
        source=st.sampled_from(["cadre", "grid", "self"]),
        ahead=st.booleans(),
    )
    def an_event_about_another(self, random: Random, kind: str, source: str, ahead: bool) -> None:
        place = len(self.live.ledger) + 1 if ahead else random.randint(1, len(self.live.ledger))
        payload: dict[str, Any] = {"ref": f"e{place}"}
        if kind == "event.corrected":
            known = self.live.ledger[place].type if place < len(self.live.ledger) else "edu.cost"
            payload["payload"] = payload_for(random, known) if known in KINDS else {}
        self._take(kind, payload, self.day, source, None)

    @precondition(lambda self: len(self.live.ledger) > 1)
    @rule(random=randoms)
    def a_repeat_changes_nothing(self, random: Random) -> None:
        again = replace(random.choice(self.live.ledger), recorded_on=self.day)
        repeated = replay([*self.live.ledger, again], self.day, POLICIES)
        assert encode(repeated.state) == encode(self.live.rebuilt().state)

    @rule(days=st.sampled_from([1, 1, 2, 15, 31]))
    def days_pass(self, days: int) -> None:
        if (self.day - START).days + days <= LONGEST_DAYS:
            self.day += timedelta(days=days)
            self.live.tick(self.day)

    @rule()
    def the_state_is_stored_and_read_again(self) -> None:
        self.live.reload()

    @invariant()
    def the_state_is_the_fold_of_its_ledger(self) -> None:
        if hasattr(self, "live"):
            assert encode(self.live.rebuilt().state) == encode(self.live.state)

    def teardown(self) -> None:
        if not hasattr(self, "live"):
            return
        decision = self.live.tick(self.day).decision
        events = [_plain(event) for event in self.live.ledger[1:]]
        expected, _ = grade_case(self.case | {"events": events, "as_of": self.day.isoformat()})
        assert decision is not None
        assert decision.result() == expected


def _plain(event: HouseholdEvent) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "type": event.type,
        "occurred_on": event.occurred_on.isoformat(),
        "recorded_on": event.recorded_on.isoformat(),
        "source": event.source_class.value,
        "payload": dict(event.payload),
        "episode": event.episode,
    }


class TestHouseholdLife(HouseholdLife.TestCase):  # type: ignore[name-defined, misc]
    """Run it as a test."""

    settings = settings(
        max_examples=30,
        stateful_step_count=14,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def test_an_event_that_comes_after_a_later_days_tick_is_recorded_on_the_day_of_the_tick() -> None:
    live = LiveHousehold(POLICIES)
    case = random_case(Random(3), most_events=0, most_days=0)
    live.take(enrolment(case, START))
    late = HouseholdEvent("e1", "edu.cost", START, START, SourceClass.DEPARTMENT, {"self_pay_yuan": 9000})
    live.tick(START + timedelta(days=20))
    assert fold(live.state, late, POLICIES).recorded_on == START + timedelta(days=20)
