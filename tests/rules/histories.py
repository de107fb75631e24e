"""Made-up histories full of corners: late and early recording, own reports, episodes, disputes, new baselines.

`random_case` draws everything from the `Random` it is given: Hypothesis can drive and shrink it, a seed repeats it.
"""

from datetime import date, timedelta
from random import Random
from typing import Any

from shared.events.catalogue import EVENT_TYPES
from shared.events.effects import Money
from shared.events.household_event import HouseholdEvent, SourceClass
from shared.events.payloads import CAUSES

START = date(2025, 10, 15)
SOURCES = ["department", "department", "survey", "third_party", "cadre", "grid", "self", "self"]
GRADE_WORDS = ["green", "blue", "yellow", "orange", "red"]
KINDS = [
    kind for kind, event_type in EVENT_TYPES.items()
    if not kind.startswith(("registry.", "event.")) and (event_type.changes_something or kind == "hazard.forecast")
]  # fmt: skip


def random_case(random: Random, *, most_events: int = 12, most_days: int = 500) -> dict[str, Any]:
    """A case in the shape of the case files (without its expected result)."""
    as_of = START + timedelta(days=random.randint(0, most_days))
    enrolled_on = START + timedelta(days=random.choice([0, 0, 30, 77]))
    as_of = max(as_of, enrolled_on)
    events = [_event(random, place, (as_of - START).days) for place in range(random.randint(0, most_events))]
    events += [_about(random, place, events) for place in range(random.randint(0, 4)) if events]
    if random.random() < 0.3:
        events += [dict(event) for event in random.sample(events, min(2, len(events)))]
    if random.random() < 0.8:
        events.sort(key=lambda event: str(event["recorded_on"]))
    household = {
        "household_id": "T",
        "type": random.choice(["lifted", "general"]),
        "monitored": random.random() < 0.2,
        "enrolled_on": enrolled_on.isoformat(),
        "baseline": random_baseline(random, START - timedelta(days=random.choice([0, 15, 100, 380]))),
    }
    if household["monitored"] and random.random() < 0.5:
        household["monitored_on"] = (enrolled_on - timedelta(days=random.randint(0, 200))).isoformat()
    return {"id": "made-up", "household": household, "events": events, "as_of": as_of.isoformat()}


def random_baseline(random: Random, as_of: date) -> dict[str, Any]:
    """Any baseline, most of them not far from the line."""
    members = random.randint(1, 6)
    per_head = random.choice([0, 2000, 6000, 8700, 9000, 10500, 13500, 30000])
    net = random.choice([-3000, 0, 5000])
    transfer = random.choice([0, 3000, 9600])
    rating = [None, 0, 1, 2, 3]
    return {
        "as_of": as_of.isoformat(),
        "members": members,
        "labour_full": random.randint(0, 2),
        "labour_weak": random.randint(0, 1),
        "wage": max(0, members * per_head - net - transfer),
        "operating_net": net,
        "property": random.choice([0, "0.25", 700]),
        "transfer": transfer,
        "assistance": random.choice([0, transfer]),
        "self_pay": {random.choice(CAUSES): random.choice([0, 900, 7000, 30000])} if random.random() < 0.3 else {},
        "elements": {name: random.choice(rating) for name in ("economic", "cultural", "psychological", "social")},
        "guarantees": _guarantees(random),
    }


def _guarantees(random: Random) -> dict[str, str]:
    broken = {name: "breach" for name in ("food", "education", "medical", "water") if random.random() < 0.06}
    if random.random() < 0.15:
        broken["housing"] = random.choice(["A", "B", "C", "D", "destroyed"])
    return broken


def _event(random: Random, place: int, span: int) -> dict[str, Any]:
    kind = random.choice(KINDS)
    occurred = random.randint(-20, max(span, 1))
    recorded = max(0, occurred + random.choice([0, 0, 0, 0, 1, 4, 20, -2, -9]))
    payload = payload_for(random, kind)
    event: dict[str, Any] = {
        "event_id": f"e{place}",
        "type": kind,
        "source": random.choice(SOURCES),
        "payload": payload,
    }
    if random.random() < 0.35:
        (payload if random.random() < 0.3 else event)["episode"] = random.choice(["p1", "p2", ""])
    return event | {"occurred_on": _on(occurred), "recorded_on": _on(recorded)}


def payload_for(random: Random, kind: str) -> dict[str, Any]:
    """A readable payload of a type, often with unknown amounts left out."""
    if kind == "survey.result":
        return {"baseline": random_baseline(random, START + timedelta(days=random.choice([-40, 10, 60, 150, 300])))}
    payload: dict[str, Any] = {}
    for effect in EVENT_TYPES[kind].effects:
        if isinstance(effect, Money):
            payload |= _amounts(random, effect)
    payload |= _particulars(random, kind)
    if random.random() < 0.2:
        payload["cause"] = random.choice(CAUSES)
    return payload


def _amounts(random: Random, money: Money) -> dict[str, Any]:
    amounts: dict[str, Any] = {}
    if money.default_yuan is None or random.random() < 0.7:
        amounts[money.field] = random.choice([0, 300, 2500, "7000.25", 12000, "33000.10", 60000])
        if money.months_field:
            amounts[money.field] = random.choice([0, 150, "800.05", 2500])
    if money.months_field and random.random() < 0.5:
        amounts[money.months_field] = random.randint(1, 14)
    return amounts


def _particulars(random: Random, kind: str) -> dict[str, Any]:
    labour = ["full", "weak", "none"]
    choices: dict[str, dict[str, list[Any]]] = {
        "health.disability": {"labour_from": labour, "labour_to": labour},
        "health.death_of_earner": {"labour": labour},
        "family.breakup": {"n_delta": [-1, -2], "labour_full_delta": [0, -1], "labour_weak_delta": [0, 1]},
        "family.member_change": {
            "n_delta": [-3, -1, 1, 2],
            "labour_full_delta": [-2, 0, 1],
            "labour_weak_delta": [-1, 1],
        },
        "disaster.house_fire": {"housing_grade": ["none", "B", "C", "D", "destroyed"]},
        "disaster.natural": {"housing_grade": ["none", "A", "B", "C", "D"], "water_failure": [True, False]},
        "housing.danger": {"grade": ["B", "C", "D", "destroyed"]},
        "survey.visit": {"result": ["no_change", "concern", "emergency"]},
        "survey.third_party_assessment": {"floor": GRADE_WORDS},
    }
    picked = {name: random.choice(values) for name, values in choices.get(kind, {}).items() if random.random() < 0.8}
    if kind == "disaster.natural":
        picked["hazard"] = random.choice(["flood", "quake"])
    if kind == "fin.debt":
        picked["due_12m_yuan"] = random.choice([0, 9000, 40000])
    return picked


def _about(random: Random, place: int, events: list[dict[str, Any]]) -> dict[str, Any]:
    target = random.choice(events)
    kind = random.choice(["event.verified", "event.verified", "event.refuted", "event.corrected"])
    payload: dict[str, Any] = {"ref": random.choice([target["event_id"]] * 9 + ["nobody"])}
    if kind == "event.corrected":
        payload["payload"] = payload_for(random, target["type"]) if target["type"] in KINDS else {"ref": "e0"}
        if random.random() < 0.2:
            payload["payload"]["episode"] = "p2"
    recorded = (date.fromisoformat(target["recorded_on"]) - START).days + random.choice([-12, 0, 1, 3, 40])
    return {
        "event_id": f"w{place}",
        "type": kind,
        "occurred_on": _on(recorded + random.choice([0, 0, -1, 2])),
        "recorded_on": _on(max(0, recorded)),
        "source": random.choice(["department", "cadre", "grid", "self"]),
        "payload": payload,
    }


def _on(days: int) -> str:
    return (START + timedelta(days=days)).isoformat()


def household_events(case: dict[str, Any]) -> list[HouseholdEvent]:
    """A case's events as the log would bring them: in the order of recording, each identity once, none after as_of."""
    seen: set[str] = set()
    events = []
    for event in sorted(case["events"], key=lambda event: str(event["recorded_on"])):
        if event["recorded_on"] <= case["as_of"] and event["event_id"] not in seen:
            seen.add(event["event_id"])
            events.append(_household_event(event))
    return events


def enrolment(case: dict[str, Any], on: date) -> HouseholdEvent:
    """The event that enrols a case's household."""
    return HouseholdEvent(
        event_id="enrolment",
        type="registry.enrolled",
        occurred_on=on,
        recorded_on=on,
        source_class=SourceClass.DEPARTMENT,
        payload=case["household"],
        source="register",
    )


def _household_event(event: dict[str, Any]) -> HouseholdEvent:
    return HouseholdEvent(
        event_id=event["event_id"],
        type=event["type"],
        occurred_on=date.fromisoformat(event["occurred_on"]),
        recorded_on=date.fromisoformat(event["recorded_on"]),
        source_class=SourceClass(event["source"]),
        payload=event["payload"],
        episode=event.get("episode"),
    )
