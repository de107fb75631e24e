"""What is stored of a household: its evidence in whatever way it was written, and sums that are the evidence's."""

import json
from collections.abc import Iterator
from datetime import date
from hashlib import blake2b
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scorer.core.evidence import Evidence
from services.scorer.core.evidence_list import EvidenceList
from services.scorer.core.household import HouseholdState, decision_of, fold
from services.scorer.core.state_codec import FORMAT, UnknownFormat, decode, encode
from services.scorer.core.tally import Tally
from shared.events.household_event import HouseholdEvent
from shared.policy import PolicyBook, default_policies
from tests.factories import make_baseline, make_enrolment, make_event
from tests.rules.histories import random_case
from tests.rules.live import LiveHousehold, live_through, with_enrolment, with_register_events

POLICIES = default_policies()
SOME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
randoms = st.randoms(use_true_random=False)


def lives(random: Random) -> Iterator[LiveHousehold]:
    events = with_register_events(with_enrolment(random_case(random), random.randint(0, 4)), random)
    return live_through(events, random, POLICIES)


def told(tally: Tally) -> dict[str, Any]:
    """Everything that a tally holds."""
    values = {name: getattr(tally, name) for name in Tally.__slots__ if name != "guarantees"}
    return {**values, "guarantees": tally.guarantees.states}


def sums_of(state: HouseholdState) -> list[Any]:
    """Both views of a state's sums, worked out where they are missing; [] for a household that is not judged."""
    if decision_of(state, POLICIES) is None:
        return []
    assert state.tallies is not None
    everything, certain, evidence, baseline, counted = state.tallies
    assert evidence is state.evidence and baseline is state.baseline
    return [told(everything), told(certain), certain is everything, counted]


def written_by_the_release_before(state: HouseholdState) -> bytes:
    """The same state in format 2: evidence and no sums, as one line."""
    head = json.loads(encode(state).partition(b"\n")[0])
    sources = sorted({entry.source for entry in state.entries})
    rows = [
        (
            one.event_id,
            sources.index(one.source),
            one.occurred,
            one.authority,
            one.certain_from,
            one.episode,
            *one.effects,
        )
        for one in state.entries
    ]
    return json.dumps([2, *head[1:11], sources, rows, *head[12:19]], ensure_ascii=False).encode()


@SOME
@given(randoms)
def test_the_stored_sums_are_those_of_the_stored_evidence(random: Random) -> None:
    for household in lives(random):
        as_stored, anew = decode(encode(household.state)), decode(encode(household.state))
        assert (as_stored.tallies is None) == (household.state.grade is None)
        anew.tallies = None
        assert sums_of(as_stored) == sums_of(anew) == sums_of(household.state)


@SOME
@given(randoms)
def test_a_state_of_the_release_before_is_read_and_goes_on_as_if_this_one_had_written_it(random: Random) -> None:
    for household in lives(random):
        before = decode(written_by_the_release_before(household.state))
        assert before.entries == household.state.entries
        assert sums_of(before) == sums_of(household.state)
        next_event = make_event("health.major_illness", household.state.clock_on, event_id="next", self_pay_yuan=60000)
        assert _after(before, next_event) == _after(household.state, next_event)


def _after(state: HouseholdState, event: HouseholdEvent) -> bytes | None:
    folded = fold(state, event, POLICIES)
    return None if folded.needs_replay else encode(folded.state)


def test_the_release_before_sees_that_it_cannot_read_this_ones_state_and_rebuilds_it() -> None:
    live = LiveHousehold(POLICIES)
    live.take(make_enrolment())
    for place in range(2):
        live.take(make_event("edu.cost", "2026-03-02", event_id=f"e{place}", self_pay_yuan=900))
    # It reads all bytes as one JSON document, and rebuilds what is none.
    with pytest.raises(ValueError, match="Extra data"):
        json.loads(encode(live.state))


@pytest.mark.parametrize("encoded", [b"", b"{}", b"[]", b"[1,0]", b"[999]", b"[4]\n", b"3", b"\xff", b"[3,"])
def test_bytes_of_an_unknown_format_are_refused(encoded: bytes) -> None:
    with pytest.raises(UnknownFormat):
        decode(encoded)


@SOME
@given(randoms)
def test_evidence_reads_back_as_it_was_however_it_was_written(random: Random) -> None:
    for household in lives(random):
        entries = household.state.entries
        sources, rows = EvidenceList(entries).stored
        assert EvidenceList.of_stored(sources, rows).entries == entries
        cut = random.randint(0, len(entries))
        added_to = EvidenceList.of_stored(*EvidenceList(entries[:cut]).stored)
        if random.random() < 0.5:
            assert added_to.entries == entries[:cut]
        for entry in entries[cut:]:
            added_to = added_to.with_one(entry)
        assert added_to.stored == (sources, rows)
        assert added_to.entries == entries


def test_a_source_that_is_new_gets_the_next_place() -> None:
    entries = tuple(Evidence(f"e{place}", source, 739_700, 0, 0, "", ()) for place, source in enumerate("baac"))
    added_to = EvidenceList.of_stored(*EvidenceList(entries[:1]).stored)
    for entry in entries[1:]:
        added_to = added_to.with_one(entry)
    assert added_to.stored == EvidenceList(entries).stored
    assert added_to.entries == entries


def test_sums_made_by_other_numbers_of_days_are_added_up_anew() -> None:
    live = LiveHousehold(POLICIES)
    live.take(make_enrolment())
    live.take(make_event("health.major_illness", "2026-03-02", self_pay_yuan=60000))
    live.tick(date(2026, 3, 20))
    live.reload()
    (policy,) = POLICIES.versions
    assert sums_of(live.state)
    decision = decision_of(live.state, PolicyBook([policy.model_copy(update={"window_days": 7})]))
    assert decision is not None and decision.standing.quantities.expense == 0


def test_an_assessment_as_good_as_can_be_is_not_taken_for_none() -> None:
    live = LiveHousehold(POLICIES)
    live.take(make_enrolment())
    live.take(make_event("survey.third_party_assessment", "2026-01-02", floor="green"))
    live.reload()
    decision = decision_of(live.state, POLICIES)
    assert decision is not None and "THIRD_PARTY" in decision.floors


def told_of_everything() -> LiveHousehold:
    """A household whose state holds something of each sort."""
    live = LiveHousehold(POLICIES)
    live.take(make_enrolment(event_id="in", monitored=True, baseline={"self_pay": {"illness": 300}}))
    for place, (kind, source, payload) in enumerate(HISTORY):
        day = date(2026, 1, 2 + place)
        live.take(make_event(kind, day, event_id=f"e{place}", source_class=source, episode="p", **payload))
    return live


def test_the_meaning_of_a_format_stays() -> None:
    """If this fails without a change of policy, states stored so far mean something else now: raise FORMAT."""
    written = encode(told_of_everything().state)
    assert (FORMAT, blake2b(written, digest_size=8).hexdigest()) == (3, "6d6cba4fd2c86e65")


def test_what_the_release_before_wrote_is_read_as_what_it_meant() -> None:
    live, before = told_of_everything(), decode(WRITTEN_IN_FORMAT_2)
    assert sums_of(before) == sums_of(live.state)
    assert encode(before) == encode(live.state)


WRITTEN_IN_FORMAT_2 = (
    b'[2,739634,0,["lifted",null,739617,false],[739619,4,2,0,4000000,800000,100000,300000,0,[],[2,2,2,2],[0,0,0,0,0]],'
    b'[true,739617,false,null],[],[],null,1,1,["urn:test:app"],[["e2",0,739620,0,0,"",[4,0,3000000,0,0]],'
    b'["e3",0,739621,0,0,"",[0,2,900000,0,1],[8,0,-1,1]],["e4",0,739622,3,0,"",[2,-1,900000,0,0]],'
    b'["e5",0,739623,0,0,"",[3,-1,360000,0,0]],["e6",0,739624,3,0,"",[9,200000]],["e7",0,739625,4,0,"",[5,1,7]],'
    b'["e8",0,739626,5,9999999,"",[5,4,9]],["e9",0,739627,3,0,"",[6,2,8,0]],["e11",0,739629,4,0,"",[13]],'
    b'["e12",0,739630,2,0,"",[14,2]],["e15",0,739633,3,0,"",[11,1]]],[4,739618,739634],739617,0,739633,'
    b'[[["urn:test:app","later",739632]],[],[]],739640,[739663,739619]]'
)
HISTORY: list[tuple[str, str, dict[str, Any]]] = [
    ("health.major_illness", "department", {"self_pay_yuan": "60000.50"}),
    ("health.major_illness", "self", {}),
    ("relief.medical_reimbursement", "department", {"amount_yuan": 30000}),
    ("health.disability", "department", {"grade": 2, "annual_loss_yuan": 9000}),
    ("income.job_found", "cadre", {"monthly_yuan": 1500}),
    ("income.dibao_granted", "department", {"monthly_yuan": 300}),
    ("fin.debt", "cadre", {"due_12m_yuan": 2000}),
    ("edu.dropout", "grid", {}),
    ("water.failure", "self", {}),
    ("housing.danger", "cadre", {"grade": "B"}),
    ("self.report_hardship", "self", {}),
    ("social.psych_concern", "grid", {}),
    ("survey.third_party_assessment", "third_party", {"floor": "yellow"}),
    ("measure.assigned", "cadre", {"cause": "illness"}),
    ("event.verified", "cadre", {"ref": "later"}),
    ("survey.visit", "cadre", {"result": "concern"}),
    ("survey.result", "survey", {"baseline": make_baseline(as_of="2026-01-03")}),
]
