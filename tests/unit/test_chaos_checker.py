"""The judge's own reading of a ledger, against the scorer's on made-up histories; and what needs no database."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from services.scorer.fold_household import NeedsHistory, fold_household, tick_household
from services.scorer.read_record import ReceivedEvent, read_record
from shared.bus.ports import Record
from shared.events.envelope import EventMessage
from shared.events.household_event import HouseholdEvent, SourceClass
from shared.policy import load_policies
from tests.chaos.checker.evidence import Caps, Evidence, Recovery, Sample
from tests.chaos.checker.judge_events import Books
from tests.chaos.checker.judge_grades import judge_grades, transitions_of
from tests.chaos.checker.judge_order import histories_of
from tests.chaos.checker.position_log import PositionWrite, judge_positions
from tests.chaos.checker.refold import Course, reference
from tests.chaos.checker.tables import LedgerRow, StateRow, Tables, TransitionRow
from tests.chaos.checker.verdict import Findings, Verdict
from tests.factories import make_household
from tests.messages import make_message
from tests.rules.histories import random_case

POLICIES = load_policies()
HOME = "H1"


@dataclass
class Scorer:
    """Folds events one by one as the service does, and keeps the rows that it would write."""

    stored: Any = None
    history: list[HouseholdEvent] = field(default_factory=list)
    tables: Tables = field(default_factory=Tables)

    def take(self, message: EventMessage) -> None:
        """Fold one received event."""
        read = read_record(Record(len(self.history), HOME.encode(), message.to_bytes(), 0), _noon(date(2030, 1, 1)))
        assert isinstance(read, ReceivedEvent)
        now = read.recorded_at
        try:
            outcome = fold_household(self.stored, [read], None, now, POLICIES)
        except NeedsHistory:
            outcome = fold_household(self.stored, [read], self.history, now, POLICIES)
        (row,) = outcome.ledger
        event = row.received.event
        self.history.append(HouseholdEvent(**{name: getattr(event, name) for name in event.__slots__}))
        self.history[-1] = _recorded(self.history[-1], row.recorded_on)
        self.tables.ledger.append(_ledger_row(row))
        self._keep(outcome)

    def tick(self, day: date) -> None:
        """Let time pass to a day."""
        try:
            outcome = tick_household(self.stored, day, None, _noon(day), POLICIES)
        except NeedsHistory:
            outcome = tick_household(self.stored, day, self.history, _noon(day), POLICIES)
        self._keep(outcome)

    def _keep(self, outcome: Any) -> None:
        self.stored = outcome.state
        self.tables.states = [StateRow(*(getattr(outcome.state, name) for name in StateRow._fields))]
        for row in outcome.transitions:
            values = {name: getattr(row, name) for name in TransitionRow._fields} | {"change": json.loads(row.change)}
            self.tables.transitions.append(TransitionRow(**values))


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(4), UTC)


def _recorded(event: HouseholdEvent, day: date) -> HouseholdEvent:
    values = {name: getattr(event, name) for name in event.__slots__} | {"recorded_on": day}
    return HouseholdEvent(**values)


def _ledger_row(row: Any) -> LedgerRow:
    received, event = row.received, row.received.event
    return LedgerRow(
        household_id=received.household_id,
        household_seq=row.household_seq,
        identity=received.identity,
        source=event.source,
        event_id=event.event_id,
        type=event.type,
        source_class=event.source_class.value,
        episode=event.episode,
        division=received.division,
        occurred_on=event.occurred_on,
        recorded_on=row.recorded_on,
        recorded_at=received.recorded_at,
        payload=received.payload,
        topic_partition=0,
        topic_offset=received.offset,
        grade_before=row.grade_before,
        grade_after=row.grade_after,
    )


def messages_of(case: dict[str, Any]) -> list[EventMessage]:
    """A case's events as received, in the order of recording, each identity once."""
    found: dict[str, EventMessage] = {}
    for event in sorted(case["events"], key=lambda event: str(event["recorded_on"])):
        found.setdefault(
            event["event_id"],
            make_message(
                event["type"],
                HOME,
                event["payload"],
                id=event["event_id"],
                at=_noon(date.fromisoformat(event["occurred_on"])),
                recorded_at=_noon(date.fromisoformat(event["recorded_on"])),
                sourceclass=SourceClass(event["source"]),
                episode=event.get("episode"),
            ),
        )
    return list(found.values())


def lived(seed: int) -> Scorer:
    """A made-up household, enrolled somewhere among its events, with days that pass in between."""
    chance = Random(seed)
    case = random_case(chance, most_events=8, most_days=chance.choice([0, 3, 40, 120]))
    case["events"] = [event for event in case["events"] if _fits(event, case["events"])]
    messages = messages_of(case)
    place = chance.choice([0, 0, 0, chance.randint(0, len(messages))])
    day = messages[place].recordedat if place < len(messages) else _noon(date.fromisoformat(case["as_of"]))
    assert day is not None
    payload = {name: value for name, value in case["household"].items() if name != "household_id"}
    messages.insert(place, make_message("registry.enrolled", HOME, payload, at=day, source="urn:register"))
    if chance.random() < 0.3:
        messages.append(_moved(messages[-1]))
    scorer = Scorer()
    for message in messages:
        assert message.recordedat is not None
        scorer.take(message)
        if chance.random() < 0.3 and scorer.stored.status == "enrolled":
            scorer.tick(scorer.tables.ledger[-1].recorded_on + timedelta(days=chance.choice([0, 1, 16, 35])))
    return scorer


def _fits(event: dict[str, Any], events: Sequence[dict[str, Any]]) -> bool:
    """Leave out corrections that do not fit: the reference takes any patch as it is."""
    if event["type"] != "event.corrected":
        return True
    target = next((one for one in events if one["event_id"] == event["payload"]["ref"]), None)
    return target is not None and not target["type"].startswith("event.")


def _moved(last: EventMessage) -> EventMessage:
    assert last.recordedat is not None
    return make_message("registry.moved", HOME, {"division": "990100102205"}, at=last.recordedat)


def convicted(tables: Tables) -> Verdict:
    findings, histories = Findings(), histories_of(tables.ledger)
    judge_grades(tables, histories, transitions_of(tables), Books({}, {}, {}, {}), findings)
    return findings.verdict()


@pytest.mark.parametrize("seed", range(40))
def test_an_honest_household_of_any_history_is_found_sound(seed: int) -> None:
    verdict = convicted(lived(seed).tables)
    assert verdict.valid, verdict.why
    assert verdict.figures["households"] == {"judged": 1, "by_result_alone": 0, "not_judged": {}}


@pytest.mark.parametrize("seed", range(8))
def test_a_closed_household_is_found_sound_and_a_closing_that_was_not_told_is_found(seed: int) -> None:
    scorer = lived(seed)
    day = scorer.tables.ledger[-1].recorded_on + timedelta(days=20)
    scorer.take(make_message("registry.closed", HOME, {"reason": "moved"}, id="closing", at=_noon(day)))
    verdict = convicted(scorer.tables)
    assert verdict.valid, verdict.why
    assert scorer.tables.transitions.pop().change["closed"]
    assert convicted(scorer.tables).proofs == {"misgraded": [HOME]}


@pytest.mark.parametrize("seed", range(20))
def test_the_judges_course_ends_where_the_reference_ends(seed: int) -> None:
    case = random_case(Random(seed), most_events=6, most_days=90)
    case["events"] = [event for event in case["events"] if _fits(event, case["events"])]
    course, as_of = Course({}), date.fromisoformat(case["as_of"])
    day = _noon(date.fromisoformat(case["household"]["enrolled_on"]))
    scorer = Scorer()
    messages = [message for message in messages_of(case) if message.recordedat and message.recordedat <= _noon(as_of)]
    earliest = min([day, *(message.recordedat for message in messages if message.recordedat)])
    payload = {name: value for name, value in case["household"].items() if name != "household_id"}
    for message in [make_message("registry.enrolled", HOME, payload, at=earliest, source="urn:register"), *messages]:
        scorer.take(message)
        course.take(scorer.tables.ledger[-1])
    assert course.end(as_of).result == reference.grade_case(case)[0]


def test_a_fen_too_much_in_the_ledger_is_seen_in_the_state() -> None:
    tables = lived(2).tables
    assert convicted(tables).valid
    place, row = next((at, row) for at, row in enumerate(tables.ledger) if b"wage" in row.payload)
    payload = json.loads(row.payload)
    payload["baseline"]["wage"] += 1
    tables.ledger[place] = row._replace(payload=json.dumps(payload).encode())
    assert convicted(tables).proofs == {"misgraded": [HOME]}


def test_a_household_with_very_many_events_is_judged_by_its_result() -> None:
    scorer, day = Scorer(), _noon(date(2026, 3, 2))
    scorer.take(make_message("registry.enrolled", HOME, make_household(), at=day))
    for number in range(101):
        scorer.take(make_message("edu.cost", HOME, {"self_pay_yuan": number}, id=f"c{number}", at=day))
    verdict = convicted(scorer.tables)
    assert verdict.valid, verdict.why
    assert verdict.figures["households"] == {"judged": 1, "by_result_alone": 1, "not_judged": {}}
    row = scorer.tables.ledger[50]
    scorer.tables.ledger[50] = row._replace(payload=row.payload.replace(b"49", b"48"))
    assert convicted(scorer.tables).proofs == {"misgraded": [HOME]}


def write(number: int, epoch: int, next_offset: int | None, owner: str = "scorer-1", by: str = "") -> PositionWrite:
    at = datetime.fromtimestamp(1_000 + number, UTC)
    return PositionWrite(
        number, "shouwang-scorer", "household.events.v1", 3, epoch, next_offset, owner, at, by or f"shouwang-s {owner}"
    )


@pytest.mark.parametrize(
    ("writes", "restored_at", "stale"),
    [
        ([write(1, 1, None), write(2, 1, 40), write(3, 2, 40, "scorer-2"), write(4, 2, 50, "scorer-2")], [], False),
        ([write(1, 1, 40), write(2, 2, 40, "scorer-2"), write(3, 1, 45)], [], True),
        ([write(1, 2, 40), write(2, 2, 30)], [], True),
        ([write(1, 2, 40), write(2, 2, 30)], [1_001.5], False),
        ([write(1, 2, 40), write(2, 2, 45, "scorer-2")], [], True),
        ([write(1, 2, 40, "scorer-2"), write(2, 2, 45, "scorer-2", by="shouwang-scorer scorer-1")], [], True),
    ],
    ids=["takeover", "epoch-back", "offset-back", "restored", "foreign-owner", "foreign-connection"],
)
def test_positions_are_moved_by_their_owner_and_forwards(
    writes: list[PositionWrite], restored_at: list[float], stale: bool
) -> None:
    findings = Findings()
    judge_positions(writes, restored_at, 0.0, findings)
    proof = f"shouwang-scorer/household.events.v1/3#{writes[-1].position_log_id}"
    assert findings.verdict().proofs == ({"stale_owner": [proof]} if stale else {})


def test_evidence_and_verdict_come_back_as_they_were_kept(tmp_path: Path) -> None:
    evidence = Evidence(
        directory=tmp_path,
        dsn="postgresql://somewhere/else",
        run=("a1", "b2"),
        windows=((1.0, 2.5),),
        recovery=Recovery(3.0, 60.0),
        samples=(Sample(1.0, "ingest", 2, 3),),
        caps=Caps(4, 5),
        logs=(tmp_path / "ingest.log",),
        canaries=("cuckoo",),
    )
    evidence.save()
    assert Evidence.load(tmp_path) == evidence
    assert Evidence.load(tmp_path, dsn="").dsn == ""
    findings = Findings(figures={"sent": 1})
    findings.convict("lost", "b", "is nowhere")
    findings.convict("lost", "a", "is nowhere either")
    verdict = findings.verdict()
    assert (verdict.valid, verdict.counts["lost"], verdict.proofs["lost"]) == (False, 2, ["a", "b"])
    assert verdict.why["lost"] == ["is nowhere either", "is nowhere"]
    assert Verdict.from_json(verdict.to_json()) == verdict
