"""Runs a made-up history as the service lives it: event by event, with ticks and reloads in between."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

from services.scorer.core.household import Folded, HouseholdState, advance, fold, new_household, replay
from services.scorer.core.state_codec import decode, encode
from shared.events.household_event import HouseholdEvent, SourceClass
from shared.policy import PolicyBook
from tests.rules.histories import START, enrolment, household_events, random_baseline


class LiveHousehold:
    """A household with its ledger, as the shell keeps them."""

    def __init__(self, policies: PolicyBook) -> None:
        self.policies = policies
        self.state: HouseholdState = new_household()
        self.ledger: list[HouseholdEvent] = []

    def take(self, event: HouseholdEvent) -> Folded:
        """Fold one event; where the core asks for it, replay the whole ledger."""
        folded = fold(self.state, event, self.policies)
        assert folded.recorded_on is not None
        self.ledger.append(replace(event, recorded_on=folded.recorded_on))
        if folded.needs_replay:
            folded = replay(self.ledger, folded.recorded_on, self.policies)
        self.state = folded.state
        return folded

    def tick(self, day: date) -> Folded:
        """Let time pass to 00:00 of a day."""
        folded = advance(self.state, day, self.policies)
        self.state = folded.state
        return folded

    def reload(self) -> None:
        """Write the state and read it back, as between two batches."""
        self.state = decode(encode(self.state))

    def rebuilt(self) -> Folded:
        """The same household, built again from its ledger."""
        assert self.state.clock_on is not None
        return replay(self.ledger, self.state.clock_on, self.policies)


def live_through(events: Sequence[HouseholdEvent], random: Random, policies: PolicyBook) -> Iterator[LiveHousehold]:
    """Take events one by one, sometimes ticking to a day in between or reloading; yields after each."""
    household = LiveHousehold(policies)
    for event in events:
        if household.ledger and random.random() < 0.2:
            soon = household.ledger[-1].recorded_on + timedelta(days=random.randint(0, 40))
            household.tick(min(soon, event.recorded_on))
        if random.random() < 0.5:
            household.reload()
        household.take(event)
        yield household


def with_enrolment(case: dict[str, Any], place: int) -> list[HouseholdEvent]:
    """A case's events with its enrolment recorded at a place among them."""
    events = household_events(case)
    place = min(place, len(events))
    if place < len(events):
        recorded_on = events[place].recorded_on
    else:
        recorded_on = events[-1].recorded_on if events else date.fromisoformat(case["as_of"])
    return [*events[:place], enrolment(case, recorded_on), *events[place:]]


def with_register_events(events: list[HouseholdEvent], random: Random) -> list[HouseholdEvent]:
    """The same events with moves, closures and repeated enrolments among them."""
    found: list[HouseholdEvent] = []
    for place, event in enumerate(events):
        found.append(event)
        if random.random() < 0.25:
            kind = random.choice(["registry.enrolled", "registry.enrolled", "registry.closed", "registry.moved"])
            found.append(_register_event(kind, place, event.recorded_on, random))
    return found


def _register_event(kind: str, place: int, on: date, random: Random) -> HouseholdEvent:
    payload: dict[str, Any] = {"reason": "moved_away"}
    if kind == "registry.moved":
        payload = {"division": "990100101202"}
    elif kind == "registry.enrolled":
        payload = {
            "type": "general",
            "enrolled_on": (on + timedelta(days=random.choice([-30, 0, 20]))).isoformat(),
            "baseline": random_baseline(random, START + timedelta(days=random.choice([-100, -15, 60, 200]))),
        }
    return HouseholdEvent(f"r{place}", kind, on, on, SourceClass.DEPARTMENT, payload, source="register")
