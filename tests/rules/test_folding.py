"""A household's state is a fold of its ledger, whatever the path by which it came about."""

import os
from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scorer.core.household import advance, fold, new_household, replay
from services.scorer.core.retention import retained
from services.scorer.core.state_codec import UnknownFormat, decode, encode
from shared.grades import RiskGrade
from shared.policy import Policy, PolicyBook, default_policies
from tests.factories import make_baseline, make_enrolment, make_event
from tests.rules.histories import random_case
from tests.rules.live import LiveHousehold, live_through, with_enrolment, with_register_events

POLICIES = default_policies()
FAST = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def enrolled(**household: object) -> LiveHousehold:
    live = LiveHousehold(POLICIES)
    live.take(make_enrolment("2026-01-01", **household))
    return live


def assert_rebuilds(live: LiveHousehold) -> None:
    assert encode(live.rebuilt().state) == encode(live.state)


def _two_versions() -> PolicyBook:
    first = POLICIES.versions[0]
    shorter = first.floors.model_copy(update={"visit_days": 20, "concern_days": 120})
    second: Policy = first.model_copy(
        update={
            "version": "2026.2",
            "effective_from": date(2026, 3, 1),
            "line_yuan": 9000,
            "window_days": 300,
            "floors": shorter,
        }
    )
    return PolicyBook([first, second])


@FAST
@given(st.randoms(use_true_random=False), st.integers(0, 12))
def test_folding_event_by_event_gives_the_bytes_of_a_replay(random: Random, enrolled_at: int) -> None:
    case = random_case(random)
    events = with_enrolment(case, enrolled_at)
    for live in live_through(events, random, POLICIES):
        assert_rebuilds(live)


@pytest.mark.parametrize("seed", range(int(os.environ.get("RULES_SOAK", "150"))))
def test_moves_closures_repeated_enrolments_and_new_policies_replay_alike(seed: int) -> None:
    random = Random(seed)
    case = random_case(random, most_days=400)
    events = with_register_events(with_enrolment(case, random.randint(0, 8)), random)
    for live in live_through(events, random, random.choice([POLICIES, _two_versions()])):
        assert_rebuilds(live)
    live.tick(date.fromisoformat(case["as_of"]) + timedelta(days=random.choice([0, 40, 400])))
    assert_rebuilds(live)


def test_a_tick_taken_in_one_step_equals_one_taken_day_by_day() -> None:
    live = enrolled()
    live.take(make_event("edu.dropout", "2026-03-02"))
    slow = live.state
    for day in range(400):
        slow = advance(slow, date(2026, 3, 3) + timedelta(days=day), POLICIES).state
    quick = advance(live.state, date(2026, 3, 3) + timedelta(days=399), POLICIES).state
    assert encode(slow) == encode(quick)


def test_a_stored_state_reads_back_as_it_was() -> None:
    live = enrolled(alias="h-17", monitored=True)
    live.take(make_event(self_pay_yuan=60000))
    live.take(make_event("event.verified", "2026-03-03", ref="not-here-yet"))
    live.take(make_event("event.corrected", "2026-03-03", ref="nor-this", payload={"self_pay_yuan": 1}))
    again = decode(encode(live.state))
    assert encode(again) == encode(live.state)
    assert (again.grade, again.since, again.alias, again.kind, again.monitored) == (
        RiskGrade.RED, date(2026, 3, 2), "h-17", "lifted", True,
    )  # fmt: skip


def test_bytes_of_another_format_are_refused() -> None:
    for stored in (b"", b"[99]", b"{}", b"\xff"):
        with pytest.raises(UnknownFormat):
            decode(stored)


def test_an_ordinary_household_stays_under_1800_bytes() -> None:
    live = enrolled()
    for place in range(20):
        live.take(
            make_event("health.hospitalisation", f"2026-02-{place + 1:02d}", event_id=f"{place:036d}", self_pay_yuan=90)
        )
    assert len(encode(live.state)) < 1800


def test_events_of_a_household_nobody_enrolled_wait() -> None:
    live = LiveHousehold(POLICIES)
    folded = live.take(make_event(self_pay_yuan=60000))
    assert folded.decision is None
    assert live.state.waiting and not live.state.enrolled and live.state.next_due_on is None


def test_a_late_enrolment_asks_for_a_replay_and_the_waiting_events_count() -> None:
    live = LiveHousehold(POLICIES)
    live.take(make_event(on="2026-03-02", self_pay_yuan=60000))
    assert fold(live.state, make_enrolment("2026-03-20"), POLICIES).needs_replay
    folded = live.take(make_enrolment("2026-03-20"))
    assert folded.decision is not None and folded.decision.grade is RiskGrade.RED
    assert folded.decision.since == date(2026, 3, 2)
    assert [(change.on_day, change.old, change.new) for change in folded.changes] == [
        (date(2026, 1, 1), None, RiskGrade.GREEN),
        (date(2026, 3, 2), RiskGrade.GREEN, RiskGrade.RED),
    ]


def test_a_household_enrolled_ahead_of_its_first_day_is_not_judged_before_it() -> None:
    live = LiveHousehold(POLICIES)
    folded = live.take(make_enrolment("2025-12-01", enrolled_on="2026-01-01"))
    assert folded.decision is None and live.state.enrolled
    assert live.state.next_due_on == date(2026, 1, 1)
    folded = live.tick(date(2026, 1, 1))
    assert folded.decision is not None and folded.decision.grade is RiskGrade.GREEN
    assert len(folded.changes) == 1 and folded.changes[0].event is None


def test_without_enrolled_on_the_first_day_is_that_of_the_baseline() -> None:
    live = LiveHousehold(POLICIES)
    event = make_enrolment("2026-01-01")
    payload = {key: value for key, value in event.payload.items() if key != "enrolled_on"}
    live.take(make_event("registry.enrolled", "2026-01-01", **payload))
    assert live.state.since == date(2025, 9, 30)


def test_recorded_on_of_a_household_never_falls() -> None:
    live = enrolled()
    live.take(make_event(on="2026-03-10", self_pay_yuan=1))
    folded = live.take(make_event(on="2026-03-01", self_pay_yuan=60000))
    assert folded.recorded_on == date(2026, 3, 10)
    assert live.state.since == date(2026, 3, 10)


def test_a_tick_to_an_earlier_day_changes_nothing() -> None:
    live = enrolled()
    live.take(make_event(on="2026-03-10", self_pay_yuan=1))
    before = encode(live.state)
    live.tick(date(2026, 2, 1))
    assert encode(live.state) == before


def test_several_changes_in_one_advance_come_with_their_days_and_without_an_event() -> None:
    live = enrolled()
    live.take(make_event("survey.visit", "2026-03-02", source_class="cadre", result="emergency"))
    folded = live.tick(date(2026, 9, 1))
    assert [(change.on_day, change.old, change.new) for change in folded.changes] == [
        (date(2026, 5, 1), RiskGrade.RED, RiskGrade.ORANGE),
        (date(2026, 5, 31), RiskGrade.ORANGE, RiskGrade.YELLOW),
        (date(2026, 6, 30), RiskGrade.YELLOW, RiskGrade.BLUE),
        (date(2026, 7, 30), RiskGrade.BLUE, RiskGrade.GREEN),
    ]
    assert all(change.event is None for change in folded.changes)
    assert [change.decision.grade for change in folded.changes] == [change.new for change in folded.changes]


def test_a_refutation_of_a_known_event_asks_for_a_replay_and_undoes_it() -> None:
    live = enrolled()
    live.take(make_event(event_id="i1", self_pay_yuan=60000))
    refutation = make_event("event.refuted", "2026-03-04", source_class="cadre", ref="i1")
    assert fold(live.state, refutation, POLICIES).needs_replay
    folded = live.take(refutation)
    assert folded.decision is not None and folded.decision.grade is RiskGrade.GREEN
    assert folded.decision.since == date(2026, 1, 1)


def test_ref_source_names_an_event_of_another_app() -> None:
    live = enrolled()
    live.take(make_event(event_id="i1", source="urn:a", self_pay_yuan=60000))
    live.take(make_event("event.refuted", "2026-03-04", source="urn:b", ref="i1"))
    assert live.state.grade is RiskGrade.RED
    live.take(make_event("event.refuted", "2026-03-04", source="urn:b", ref="i1", ref_source="urn:a"))
    assert live.state.grade is RiskGrade.GREEN


@pytest.mark.parametrize("kind", ["event.refuted", "event.corrected", "event.verified"])
def test_what_is_said_before_its_event_comes_counts_when_it_comes(kind: str) -> None:
    live = enrolled()
    said = {"payload": {"self_pay_yuan": 6000}} if kind == "event.corrected" else {}
    live.take(make_event(kind, "2026-03-01", ref="i1", **said))
    live.take(make_event(event_id="i1", source_class="self", self_pay_yuan=60000))
    expected = {"event.refuted": 0, "event.corrected": 0, "event.verified": 4}[kind]
    assert live.state.grade == expected
    assert not live.state.orphans
    assert_rebuilds(live)


def test_the_register_cannot_be_refuted() -> None:
    live = LiveHousehold(POLICIES)
    live.take(make_enrolment("2026-01-01", event_id="in"))
    live.take(make_event("event.refuted", "2026-01-02", source="urn:test:register", ref="in"))
    assert live.state.enrolled and live.state.grade is RiskGrade.GREEN


def test_a_repeated_enrolment_with_a_later_baseline_acts_as_a_survey() -> None:
    live = enrolled()
    poor = make_baseline(as_of="2026-02-28", wage=22799)
    folded = live.take(make_event("registry.enrolled", "2026-03-01", type="lifted", baseline=poor, alias="new"))
    assert live.state.grade is RiskGrade.YELLOW and live.state.alias == "new"
    assert folded.findings == ()


def test_a_repeated_enrolment_with_an_older_baseline_only_leaves_a_finding() -> None:
    live = enrolled()
    poor = make_baseline(as_of="2025-06-30", wage=0)
    folded = live.take(make_event("registry.enrolled", "2026-03-01", type="general", baseline=poor))
    assert live.state.grade is RiskGrade.GREEN and live.state.kind == "lifted"
    assert [finding.code for finding in folded.findings] == ["ENROLMENT_NOT_NEWER"]


def test_a_repeated_enrolment_of_the_same_day_with_other_figures_changes_nothing() -> None:
    live = enrolled()
    folded = live.take(make_enrolment("2026-03-01", baseline={"wage": 0}))
    assert live.state.grade is RiskGrade.GREEN
    assert [finding.code for finding in folded.findings] == ["ENROLMENT_NOT_NEWER"]


def test_an_enrolment_sent_again_as_it_was_leaves_no_finding() -> None:
    live = enrolled()
    assert live.take(make_enrolment("2026-03-01")).findings == ()


def test_an_older_survey_brings_back_events_that_a_newer_one_had_covered() -> None:
    live = enrolled()
    live.take(make_event("health.major_illness", "2026-03-02", self_pay_yuan=60000))
    live.take(
        make_event("survey.result", "2026-06-30", source_class="survey", baseline=make_baseline(as_of="2026-06-30"))
    )
    live.reload()
    assert live.state.entries == ()
    older = make_event("survey.result", "2026-07-01", source_class="survey", baseline=make_baseline(as_of="2026-02-01"))
    assert fold(live.state, older, POLICIES).needs_replay
    folded = live.take(older)
    assert folded.decision is not None and folded.decision.raw_grade is RiskGrade.RED


def test_a_closed_household_is_not_judged_until_it_is_enrolled_again() -> None:
    live = enrolled()
    live.take(make_event(on="2026-03-02", self_pay_yuan=60000))
    folded = live.take(make_event("registry.closed", "2026-03-05", reason="moved"))
    assert folded.decision is None and live.state.closed and live.state.next_due_on is None
    assert live.tick(date(2026, 4, 1)).decision is None
    folded = live.take(make_enrolment("2026-04-02"))
    assert folded.decision is not None and folded.decision.since == date(2026, 4, 2)
    assert folded.decision.grade is RiskGrade.RED


def test_a_household_closed_on_a_day_it_was_judged_on_has_no_decision_left() -> None:
    live = enrolled()
    live.take(make_event(on="2026-03-02", self_pay_yuan=60000))
    assert live.take(make_event("registry.closed", "2026-03-02", reason="moved")).decision is None
    assert live.rebuilt().decision is None


def test_a_household_may_not_survey_or_verify_itself() -> None:
    live = enrolled()
    live.take(make_event(event_id="i1", source_class="self", self_pay_yuan=60000))
    folded = live.take(make_event("event.verified", "2026-03-03", source_class="self", ref="i1"))
    assert live.state.grade is RiskGrade.ORANGE
    assert [finding.code for finding in folded.findings] == ["REFUSED_FROM_SELF"]


def test_a_correction_that_does_not_fit_is_passed_over_with_a_finding() -> None:
    live = enrolled()
    live.take(make_event(event_id="i1", self_pay_yuan=60000))
    folded = live.take(make_event("event.corrected", "2026-03-03", ref="i1", payload={"self_pay_yuan": "a lot"}))
    assert live.state.grade is RiskGrade.RED
    assert [finding.code for finding in folded.findings] == ["CORRECTION_DOES_NOT_FIT"]


def test_a_new_line_in_force_changes_grades_on_its_day_without_an_event() -> None:
    policies = _two_versions()
    live = LiveHousehold(policies)
    live.take(make_enrolment("2026-01-01", baseline={"wage": 22800}))
    assert live.state.grade is RiskGrade.BLUE and live.state.next_due_on == date(2026, 3, 1)
    folded = live.tick(date(2026, 3, 1))
    assert folded.decision is not None and folded.decision.grade is RiskGrade.YELLOW
    assert folded.decision.policy_ref.version == "2026.2"


def test_ten_thousand_events_of_a_fen_add_up_without_drift() -> None:
    events = [make_enrolment("2026-01-01")]
    events += [make_event("farm.crop_loss", "2026-03-02", amount_yuan="0.01") for _ in range(10_000)]
    decision = replay(events, date(2026, 3, 2), POLICIES).decision
    assert decision is not None
    assert decision.standing.quantities.net_income == 52000_00 - 10_000
    assert decision.result()["adjusted_per_capita"] == "12975.00"


def test_evidence_is_let_go_on_the_day_it_stops_counting_and_not_before() -> None:
    windows = POLICIES.longest
    for kind, days in (("survey.visit", 30), ("social.psych_concern", 90), ("health.hospitalisation", 365)):
        live = enrolled()
        live.take(make_event(kind, "2026-03-02"))
        last = date(2026, 3, 2).toordinal() + days
        assert retained(live.state.entries, last - 1, 0, windows) == live.state.entries != ()
        assert retained(live.state.entries, last, 0, windows) == ()


def test_a_new_household_has_nothing() -> None:
    state = new_household()
    assert not state.enrolled and state.grade is None and state.clock_on is None
    assert encode(decode(encode(state))) == encode(state)
