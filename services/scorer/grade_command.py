"""Grades cases given as JSON Lines, with the very code that the service uses.

A case is {"id", "household", "events", "as_of"}: events in order of arrival, `recorded_on` defaults to `occurred_on`,
`source` (a source class) to department. Each answer is one JSON line. All lines are read first: if any is faulty,
CasesRefused lists every fault by line and field, and nothing has been answered.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.scorer.core.area import AreaCount, assess_area, slow_burn
from services.scorer.core.elimination import blockers_of
from services.scorer.core.household import replay
from shared.errors import Fault
from shared.events.amounts import Day
from shared.events.catalogue import EVENT_TYPES
from shared.events.checking import fault_of, payload_faults
from shared.events.household_event import HouseholdEvent, SourceClass
from shared.events.payloads import Enrolled
from shared.policy import Area, PolicyBook


class CasesRefused(ValueError):
    """Some lines cannot be answered; `faults` has one message each, with line and field."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class _CaseEvent(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    event_id: Annotated[str, Field(min_length=1)]
    type: str
    occurred_on: Day
    recorded_on: Day | None = None
    source: Annotated[SourceClass | None, Field(strict=False)] = None
    episode: str | None = None
    payload: dict[str, Any] = Field(default_factory=dict)


class _Case(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    id: str | int
    household: dict[str, Any]
    events: list[_CaseEvent]
    as_of: Day


class _AreaCase(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    id: str | int
    level: Literal["village", "township", "county"]
    households: Annotated[int, Field(ge=1)]
    at_risk: Annotated[int, Field(ge=0)]
    onsets: Annotated[int, Field(ge=0)]
    days: Annotated[int, Field(ge=1)]


class _SlowBurnCase(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    id: str | int
    daily: list[Annotated[int, Field(ge=0)]]
    mu0: int | Decimal


@dataclass(frozen=True, slots=True)
class _ReadyCase:
    id: str | int
    events: list[HouseholdEvent]
    as_of: date


def grade_lines(lines: Iterable[str], policies: PolicyBook, *, elimination: bool = False) -> Iterator[str]:
    """Answer each case with one JSON line; raises CasesRefused before the first answer if any line is faulty."""
    faults: list[str] = []
    cases = [case for line, document in _documents(lines, faults) if (case := _case(line, document, faults))]
    if faults:
        raise CasesRefused(faults)
    return (_graded(case, policies, elimination=elimination) for case in cases)


def area_lines(lines: Iterable[str], rules: Area) -> Iterator[str]:
    """Answer each area case with one JSON line; raises CasesRefused before the first answer if any line is faulty."""
    faults: list[str] = []
    answers = [
        answer for line, document in _documents(lines, faults) if (answer := _area(line, document, rules, faults))
    ]
    if faults:
        raise CasesRefused(faults)
    return iter(answers)


def _documents(lines: Iterable[str], faults: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            document = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
        except (ValueError, RecursionError):
            faults.append(f"line {number}: not a JSON document")
            continue
        if isinstance(document, dict):
            yield number, document
        else:
            faults.append(f"line {number}: write a JSON object")


def _refuse(_word: str) -> None:
    raise ValueError("not a finite number")


def _case(line: int, document: dict[str, Any], faults: list[str]) -> _ReadyCase | None:
    found: list[Fault] = []
    try:
        case = _Case.model_validate(document)
    except ValidationError as error:
        faults += _said(line, [fault_of(entry) for entry in error.errors(include_url=False, include_input=False)])
        return None
    try:
        household = Enrolled.model_validate(case.household, extra="ignore")
    except ValidationError as error:
        lines = error.errors(include_url=False, include_input=False)
        found += [fault_of(entry, "household") for entry in lines]
    else:
        starts_on = household.enrolled_on or household.baseline.as_of
        if case.as_of < starts_on:
            found.append(Fault("/as_of", "before_enrolment", "the day must not lie before the household's enrolled_on"))
    for place, event in enumerate(case.events):
        found += _event_faults(place, event)
    if found:
        faults += _said(line, found)
        return None
    return _ReadyCase(case.id, _events(case), case.as_of)


def _event_faults(place: int, event: _CaseEvent) -> Iterator[Fault]:
    event_type = EVENT_TYPES.get(event.type)
    if event_type is None:
        yield Fault(f"/events/{place}/type", "unknown_type", "this event type is not known")
    elif event_type.changes_something:
        for fault in payload_faults(event_type, event.payload, at_edge=False):
            yield Fault(f"/events/{place}/payload{fault.pointer}", fault.code, fault.detail)


def _said(line: int, found: list[Fault]) -> list[str]:
    return [f"line {line}: {fault.pointer or '/'}: {fault.detail}" for fault in found]


def _events(case: _Case) -> list[HouseholdEvent]:
    """The case as a ledger: the enrolment first, then what was recorded up to as_of, in order of recording."""
    known = [_event(event) for event in case.events]
    known = sorted((event for event in known if event.recorded_on <= case.as_of), key=lambda event: event.recorded_on)
    earliest = min([event.recorded_on for event in known], default=case.as_of)
    enrolled = HouseholdEvent(
        event_id="enrolled",
        type="registry.enrolled",
        occurred_on=earliest - timedelta(days=1),
        recorded_on=earliest,
        source_class=SourceClass.DEPARTMENT,
        payload=case.household,
        source="case:household",
    )
    return [enrolled, *known]


def _event(event: _CaseEvent) -> HouseholdEvent:
    return HouseholdEvent(
        event_id=event.event_id,
        type=event.type,
        occurred_on=event.occurred_on,
        recorded_on=event.recorded_on or event.occurred_on,
        source_class=event.source or SourceClass.DEPARTMENT,
        payload=event.payload,
        episode=event.episode,
    )


def _graded(case: _ReadyCase, policies: PolicyBook, *, elimination: bool) -> str:
    folded = replay(case.events, case.as_of, policies)
    answer: dict[str, object] = {"id": case.id}
    if folded.decision is not None:
        answer |= folded.decision.result()
        if elimination:
            answer["elimination_blockers"] = list(blockers_of(folded.state, folded.decision))
    return _line(answer)


def _area(line: int, document: Mapping[str, Any], rules: Area, faults: list[str]) -> str | None:
    try:
        if "daily" in document:
            burn = _SlowBurnCase.model_validate(document)
            usual = Fraction(burn.mu0)
            if usual <= 0:
                faults.append(f"line {line}: /mu0: the usual rate must be above 0")
                return None
            return _line({"id": burn.id} | slow_burn(burn.daily, usual, rules).result())
        case = _AreaCase.model_validate(document)
    except ValidationError as error:
        faults += _said(line, [fault_of(entry) for entry in error.errors(include_url=False, include_input=False)])
        return None
    count = AreaCount(case.level, case.households, case.at_risk, case.onsets, case.days)
    return _line({"id": case.id} | assess_area(count, rules).result())


def _line(answer: Mapping[str, object]) -> str:
    return json.dumps(answer, ensure_ascii=False)
