"""One worked example for each event type: what the core makes of it for a plain household."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from services.scorer.core.grade import Decision
from services.scorer.core.household import replay
from shared.events.catalogue import EVENT_TYPES
from shared.events.household_event import HouseholdEvent, SourceClass
from shared.policy import default_policies

POLICIES = default_policies()
HOUSEHOLD: Mapping[str, Any] = EVENT_TYPES["registry.enrolled"].example
DAY = date(2026, 3, 2)
_ILLNESS = ("health.major_illness", {"self_pay_yuan": 60000})

# What must have happened the day before for an example to show anything.
_BEFORE: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "health.insurance_restored": ("health.insurance_lapse", {}),
    "edu.return": ("edu.dropout", {}),
    "housing.repaired": ("housing.danger", {"grade": "C"}),
    "water.restored": ("water.failure", {}),
    "food.restored": ("food.shortage", {}),
    "relief.medical_reimbursement": _ILLNESS,
    "relief.medical_assistance": _ILLNESS,
    "relief.insurance_payout": _ILLNESS,
    "relief.temporary_assistance": _ILLNESS,
    "relief.disaster_relief": ("disaster.natural", {"hazard": "flood", "repair_cost_yuan": 30000}),
    "relief.education_grant": ("edu.cost", {"self_pay_yuan": 24000}),
    "income.dibao_granted": ("work.job_loss", {}),
    "income.public_post": ("work.job_loss", {}),
    "income.industry_subsidy": ("biz.failure", {"amount_yuan": 18000}),
    "income.job_found": ("work.job_loss", {}),
    "income.wage_recovered": ("work.wage_arrears", {"amount_yuan": 18000}),
    "income.collective_dividend": ("work.job_loss", {}),
    "event.verified": _ILLNESS,
    "event.refuted": _ILLNESS,
    "event.corrected": _ILLNESS,
    "status.risk_eliminated": ("status.monitored", {}),
    "status.lifted_again": ("status.return_confirmed", {}),
}
# Better examples than the catalogue's where that one shows nothing, or shows too much for this household.
_PAYLOADS: Mapping[str, Mapping[str, Any]] = {
    "health.hospitalisation": {"person": "p1", "self_pay_yuan": "18500.50"},
    "survey.result": {"baseline": {**HOUSEHOLD["baseline"], "as_of": "2026-03-01", "wage": 22799}},
    "fin.debt": {"due_12m_yuan": 26000},
    "family.member_change": {"n_delta": 2},
}
_OWN_REPORTS = ("self.report_hardship",)
_RECORD = ("registry.enrolled", "hazard.forecast")


@dataclass(frozen=True, slots=True)
class Example:
    """A case as `shouwang-scorer grade` reads it, without its household; before and after: None while not judged."""

    type: str
    events: Sequence[Mapping[str, Any]]
    before: Decision | None
    after: Decision | None

    @property
    def case(self) -> dict[str, Any]:
        """The case in full."""
        events = list(self.events)
        return {"id": self.type, "household": dict(HOUSEHOLD), "events": events, "as_of": DAY.isoformat()}


def example_of(kind: str) -> Example:
    """Work the example of one event type out."""
    earlier = (
        [_written("e-1", *_BEFORE[kind], DAY - timedelta(days=1), kind == "event.verified")] if kind in _BEFORE else []
    )
    payload = _PAYLOADS.get(kind, EVENT_TYPES[kind].example)
    events = earlier if kind in _RECORD else [*earlier, _written("e-2", kind, payload, DAY, kind in _OWN_REPORTS)]
    return Example(kind, events, _judged(earlier), _judged(events))


def _written(event_id: str, kind: str, payload: Mapping[str, Any], day: date, own: bool) -> Mapping[str, Any]:
    source = "self" if own else "cadre" if kind.startswith(("event.", "survey.visit")) else "department"
    return {
        "event_id": event_id,
        "type": kind,
        "occurred_on": day.isoformat(),
        "source": source,
        "payload": dict(payload),
    }


def _judged(events: Sequence[Mapping[str, Any]]) -> Decision | None:
    enrolled = _event(
        {
            "event_id": "enrolled",
            "type": "registry.enrolled",
            "occurred_on": HOUSEHOLD["enrolled_on"],
            "source": "department",
            "payload": HOUSEHOLD,
        }
    )
    return replay([enrolled, *map(_event, events)], DAY, POLICIES).decision


def _event(written: Mapping[str, Any]) -> HouseholdEvent:
    day = date.fromisoformat(written["occurred_on"])
    return HouseholdEvent(
        event_id=written["event_id"],
        type=written["type"],
        occurred_on=day,
        recorded_on=day,
        source_class=SourceClass(written["source"]),
        payload=written["payload"],
    )
