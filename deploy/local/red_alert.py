"""Two events that put an invented household into the red zone, for the curl line that `make run` prints."""

import json
import secrets
from datetime import date
from pathlib import Path

SOURCE = "urn:shouwang:local-run"
DIVISION = "990101101201"  # a village of the invented county
BASELINE: dict[str, object] = {
    "members": 4,
    "labour_full": 2,
    "labour_weak": 0,
    "wage": 40000,
    "operating_net": 8000,
    "property": 1000,
    "transfer": 3000,
    "assistance": 0,
    "self_pay": {},
    "elements": {"economic": 2, "cultural": 2, "psychological": 2, "social": 2},
    "guarantees": {},
}


def red_alert_events(household_id: str, today: date, division: str = DIVISION) -> list[dict[str, object]]:
    """The CloudEvents: the household enters the register, then pays 60,000 yuan for a major illness."""
    enrolled: dict[str, object] = {
        "type": "lifted",
        "monitored": False,
        "enrolled_on": today.isoformat(),
        "baseline": {"as_of": _accounting_day(today).isoformat(), **BASELINE},
    }
    illness: dict[str, object] = {"self_pay_yuan": 60000}
    return [
        _event(household_id, today, division, "registry.enrolled", enrolled),
        _event(household_id, today, division, "health.major_illness", illness),
    ]


def _accounting_day(today: date) -> date:
    """The last 30 September before today: what happened up to that day is in the baseline and counts no more."""
    this_year = date(today.year, 9, 30)
    return this_year if this_year < today else date(today.year - 1, 9, 30)


def write_red_alert(file: Path, today: date) -> str:
    """Write the events of a new household as a CloudEvents batch; the household's id."""
    household_id = f"LOCAL-{secrets.token_hex(3).upper()}"
    text = json.dumps(red_alert_events(household_id, today), indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")
    return household_id


def _event(
    household_id: str, today: date, division: str, event_type: str, payload: dict[str, object]
) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"{household_id}-{event_type}",
        "source": SOURCE,
        "type": f"cn.shouwang.{event_type}.v1",
        "subject": household_id,
        "time": f"{today.isoformat()}T00:00:00+08:00",
        "division": division,
        "sourceclass": "department",
        "data": payload,
    }
