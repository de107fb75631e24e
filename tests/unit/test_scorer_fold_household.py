"""A household's events of one batch, put into rows and messages."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from services.scorer.core.state_codec import decode
from services.scorer.fold_household import NeedsHistory, fold_household, refold_household, tick_household
from services.scorer.outcome import read_parked_reason
from services.scorer.read_record import ReceivedEvent, read_record
from shared.bus.ports import Record
from shared.events.envelope import EventMessage
from shared.policy import load_policies
from tests.factories import make_baseline
from tests.messages import enrolment, make_message

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
POLICIES = load_policies()


def received(message: EventMessage) -> ReceivedEvent:
    read = read_record(Record(0, message.subject.encode(), message.to_bytes(), 0), NOW)
    assert isinstance(read, ReceivedEvent)
    return read


def impossible() -> ReceivedEvent:
    """An event on the last day of the calendar: no timer can be set after it."""
    cost = received(make_message("edu.cost", id="last"))
    return replace(cost, event=replace(cost.event, occurred_on=date.max, recorded_on=date.max))


def test_a_step_that_fails_parks_the_household_as_it_was_and_keeps_its_events() -> None:
    events = [received(enrolment()), received(make_message("edu.cost", data={"self_pay_yuan": 30000}))]
    outcome = fold_household(None, [events[0], impossible(), events[1]], None, NOW, POLICIES)
    assert outcome.state.status == outcome.label == "parked"
    assert outcome.newly_parked
    assert outcome.state.parked_reason is not None
    assert "last" in outcome.state.parked_reason
    assert outcome.state.grade == 0
    assert [row.household_seq for row in outcome.ledger] == [1, 2, 3]
    assert [change.new for change in outcome.changes] == ["green"]
    assert outcome.parked_at == impossible().offset
    assert read_parked_reason(outcome.state.parked_reason) == ("ValueError at last", "2026-03-02T02:00:00.000Z")


def test_a_parked_household_keeps_taking_events_into_its_ledger_without_judging_them() -> None:
    parked = fold_household(None, [received(enrolment()), impossible()], None, NOW, POLICIES).state
    later = fold_household(parked, [received(make_message("edu.cost"))], None, NOW, POLICIES)
    assert later.state.body == parked.body
    assert (later.state.status, later.newly_parked) == ("parked", False)
    assert later.state.household_seq == parked.household_seq + 1


def test_time_alone_turns_a_lasting_breach_red() -> None:
    dropout = make_message("edu.dropout")
    stored = fold_household(None, [received(enrolment()), received(dropout)], None, NOW, POLICIES).state
    assert stored.next_due_on is not None
    outcome = tick_household(stored, date(2026, 3, 17), None, NOW, POLICIES)
    assert [(change.old, change.new, change.trigger.kind) for change in outcome.changes] == [("orange", "red", "timer")]
    assert decode(outcome.state.body).clock_on == date(2026, 3, 17)
    assert outcome.ledger == []


def test_a_household_moves_with_its_register_entry() -> None:
    stored = fold_household(None, [received(enrolment())], None, NOW, POLICIES).state
    moved = make_message("registry.moved", data={"division": "990100102205"})
    outcome = fold_household(stored, [received(moved)], None, NOW, POLICIES)
    assert outcome.state.division == "990100102205"
    assert [(change.old, change.new, change.division) for change in outcome.changes] == [
        ("green", "green", "990100102205")
    ]


def test_the_first_event_of_an_unknown_household_opens_a_clue_and_the_second_does_not() -> None:
    first = fold_household(None, [received(make_message("edu.cost"))], None, NOW, POLICIES)
    assert first.opened_clue
    second = fold_household(first.state, [received(make_message("edu.cost"))], None, NOW, POLICIES)
    assert not second.opened_clue
    assert (second.label, second.state.grade) == ("waiting", None)


def test_an_area_event_is_kept_under_its_division_and_is_no_clue() -> None:
    forecast = make_message("hazard.forecast", "990100101201", {"stage": "action", "hazard": "flood"})
    outcome = fold_household(None, [received(forecast)], None, NOW, POLICIES)
    assert (outcome.state.status, outcome.label, outcome.opened_clue) == ("area", "applied", False)
    assert [row.household_seq for row in outcome.ledger] == [1]
    later = fold_household(outcome.state, [received(forecast)], None, NOW, POLICIES)
    assert (later.state.status, later.state.grade) == ("area", None)


OTHER_FORMAT = b"[999]"


def test_a_state_of_another_format_is_rebuilt_and_what_it_changes_is_told() -> None:
    events = [received(enrolment()), received(make_message("health.major_illness", data={"self_pay_yuan": 60000}))]
    stored = fold_household(None, events[:1], None, NOW, POLICIES).state
    unreadable = replace(stored, body=OTHER_FORMAT, household_seq=2)
    later = received(make_message("edu.cost", data={"self_pay_yuan": 1}))
    with pytest.raises(NeedsHistory):
        fold_household(unreadable, [later], None, NOW, POLICIES)
    outcome = fold_household(unreadable, [later], [one.event for one in events], NOW, POLICIES)
    assert [(one.old, one.new, one.trigger.kind, one.version) for one in outcome.changes] == [
        ("green", "red", "replay", 2)
    ]
    assert (outcome.state.grade, outcome.ledger[0].grade_before, outcome.state.household_seq) == (4, 4, 3)


def test_a_state_of_another_format_whose_ledger_cannot_be_folded_is_parked_and_kept() -> None:
    stored = fold_household(None, [received(enrolment(alias="A"))], None, NOW, POLICIES).state
    unreadable = replace(stored, body=OTHER_FORMAT)
    history = [received(enrolment(alias="A")).event, impossible().event]
    later = received(make_message("edu.cost"))
    outcome = fold_household(unreadable, [later], history, NOW, POLICIES)
    kept = outcome.state
    assert (kept.status, kept.body, kept.grade, kept.alias) == ("parked", OTHER_FORMAT, 0, "A")
    assert (outcome.newly_parked, outcome.changes, len(outcome.ledger)) == (True, [], 1)
    assert tick_household(unreadable, date(2026, 4, 1), history, NOW, POLICIES).state.status == "parked"

    again = fold_household(kept, [later], None, NOW, POLICIES)
    assert again.state == replace(kept, household_seq=kept.household_seq + 1), "its ledger is not asked for again"


def test_a_household_that_moved_while_it_was_parked_is_told_of_under_its_new_division() -> None:
    parked = fold_household(None, [received(enrolment()), impossible()], None, NOW, POLICIES).state
    moved = received(make_message("registry.moved", data={"division": "990100102205"}))
    parked = fold_household(parked, [moved], None, NOW, POLICIES).state
    outcome = refold_household(parked, [received(enrolment()).event, moved.event], NOW, POLICIES)
    assert [(one.old, one.new, one.division) for one in outcome.changes] == [("green", "green", "990100102205")]
    assert (outcome.state.status, outcome.state.division, outcome.ledger) == ("enrolled", "990100102205", [])


def test_folding_anew_what_is_stored_rightly_changes_nothing() -> None:
    events = [received(enrolment()), received(make_message("edu.dropout"))]
    stored = fold_household(None, events, None, NOW, POLICIES).state
    ticked = tick_household(stored, date(2026, 3, 30), None, NOW, POLICIES).state
    outcome = refold_household(ticked, [one.event for one in events], NOW, POLICIES)
    assert (outcome.state, outcome.changes) == (ticked, [])


def test_a_finding_of_a_replay_is_noted_under_the_event_that_it_is_about() -> None:
    cost = received(make_message("edu.cost", data={"self_pay_yuan": 6000}, id="c1"))
    correction = {"ref": "c1", "payload": {"self_pay_yuan": "a lot"}}
    corrected = received(make_message("event.corrected", data=correction, id="x1"))
    history = [received(enrolment()).event, cost.event]
    stored = fold_household(None, [received(enrolment()), cost], None, NOW, POLICIES).state
    outcome = fold_household(stored, [corrected], history, NOW, POLICIES)
    assert outcome.findings == [("H1", "CORRECTION_DOES_NOT_FIT", cost.identity)]


EXAMPLES = Path(__file__).parents[2] / "shared" / "policies" / "examples"


def moving(division: str) -> ReceivedEvent:
    return received(make_message("registry.moved", data={"division": division}))


def test_a_move_to_another_jurisdiction_replays_the_household_and_judges_it_by_the_new_policy_from_that_day() -> None:
    policies = load_policies(EXAMPLES)
    enrolled = received(enrolment(baseline=make_baseline(wage=22800)))
    stored = fold_household(None, [enrolled], None, NOW, policies).state
    with pytest.raises(NeedsHistory):
        fold_household(stored, [moving("990200101201")], None, NOW, policies)
    outcome = fold_household(stored, [moving("990200101201")], [enrolled.event], NOW, policies)
    (change,) = outcome.changes
    assert (stored.grade, change.new, change.policy.name, change.trigger.kind) == (
        1,
        "yellow",
        "county-own-line",
        "event",
    )
    assert (change.division, outcome.state.division) == ("990200101201", "990200101201")


def test_a_move_within_one_jurisdiction_needs_no_history() -> None:
    policies = load_policies(EXAMPLES)
    stored = fold_household(None, [received(enrolment())], None, NOW, policies).state
    (change,) = fold_household(stored, [moving("990100101205")], None, NOW, policies).changes
    assert (change.old, change.new, change.division) == ("green", "green", "990100101205")


def test_a_move_to_another_jurisdiction_is_told_with_the_decision_that_is_stored_when_the_grade_stays() -> None:
    policies = load_policies(EXAMPLES)
    enrolled = received(enrolment())
    stored = fold_household(None, [enrolled], None, NOW, policies).state
    outcome = fold_household(stored, [moving("990200101201")], [enrolled.event], NOW, policies)
    (change,) = outcome.changes
    assert (change.old, change.new, change.version) == ("green", "green", 2)
    assert (change.policy.name, change.figures["line_yuan"]) == ("county-own-line", 9000)
    assert outcome.state.grade == int(change.new_grade)


def test_closing_a_household_is_told_once_with_the_grade_it_had() -> None:
    illness = make_message("health.major_illness", data={"self_pay_yuan": 60000})
    closed = make_message("registry.closed", data={"reason": "moved"}, id="c1")
    again = make_message("registry.closed", data={"reason": "moved"}, id="c2")
    events = [received(one) for one in (enrolment(), illness, closed, again)]
    outcome = fold_household(None, events, None, NOW, POLICIES)
    told = outcome.changes[-1]
    assert [change.closed for change in outcome.changes] == [False, False, True]
    assert (told.old, told.new, told.trigger.event_id, told.version) == ("red", "green", "c1", 3)
    assert [reason.code for reason in told.reasons] == ["HOUSEHOLD_CLOSED"]
    assert (outcome.state.status, outcome.state.grade, outcome.state.version) == ("closed", None, 3)
    assert (outcome.transitions[-1].new_grade, outcome.transitions[-1].trigger_identity) == (0, events[2].identity)


def test_a_household_that_nobody_enrolled_is_closed_without_a_word() -> None:
    closed = received(make_message("registry.closed", data={"reason": "moved"}))
    assert fold_household(None, [closed], None, NOW, POLICIES).changes == []


def test_a_household_that_its_ledger_finds_closed_is_told_closed() -> None:
    events = [received(enrolment()), received(make_message("registry.closed", data={"reason": "moved"}))]
    history = [one.event for one in events]
    stored = fold_household(None, events[:1], None, NOW, POLICIES).state
    outcome = refold_household(replace(stored, household_seq=2), history, NOW, POLICIES)
    assert [(change.closed, change.trigger.kind) for change in outcome.changes] == [(True, "replay")]
