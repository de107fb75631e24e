"""One round of the proof: a household is enrolled and graded, falls ill, turns red, and people hear of it."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from deploy.local.red_alert import red_alert_events
from deploy.local.smoke_run import SmokeFailed
from shared.clock import SHANGHAI

POLL_SECONDS = 0.01
STEP_SECONDS = 20.0
REST_SECONDS = 0.3
Found = TypeVar("Found")
Event = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from the moment the illness was posted: to 202, to a red grade, to its alert being listed, and to the
    receipt at the mail server and at the webhook receiver."""

    accepted: float
    red: float
    alert: float
    mail: float
    webhook: float


class Round:
    """One household's story, told to one run.

    handles: of run.json. directory: where the run's mail and webhook sinks write what they receive.
    """

    def __init__(self, client: httpx2.Client, handles: Mapping[str, str], directory: Path) -> None:
        self._client = client
        self._handles = handles
        self._directory = directory
        self._household_id = f"SMOKE-{secrets.token_hex(4).upper()}"

    def measure(self) -> Times:
        """Tell the story and time it. Raises SmokeFailed, naming the step that did not come."""
        enrolment, illness = red_alert_events(self._household_id, datetime.now(SHANGHAI).date())
        self._post(enrolment)
        _until("the enrolled household is graded", lambda: self._graded(enrolment))
        time.sleep(REST_SECONDS)
        posted, posted_at = time.perf_counter(), time.time()
        self._post(illness)
        accepted = time.perf_counter() - posted
        _until("the household is red", lambda: self._graded(illness) == "red")
        red = time.perf_counter() - posted
        alert_id = _until("the alert is listed by the notifier", self._alert_id)
        alert = time.perf_counter() - posted
        mail = _until("the alert is in the mail sink", lambda: self._received("mail.jsonl", alert_id))
        webhook = _until("the alert is in the webhook sink", lambda: self._received("webhooks.jsonl", alert_id))
        return Times(accepted, red, alert, mail - posted_at, webhook - posted_at)

    def _post(self, event: Event) -> None:
        body = json.dumps(event).encode()
        headers = {"content-type": "application/cloudevents+json"}
        answer = self._client.post(f"{self._handles['ingest_url']}/v1/events", content=body, headers=headers)
        if answer.status_code != 202:
            raise SmokeFailed(f"ingest answered {answer.status_code} to {event['type']}: {answer.text[:500]}")

    def _graded(self, event: Event) -> str | None:
        """The grade after an event, once the scorer has applied it."""
        address = f"{self._handles['ingest_url']}/v1/events/{event['id']}"
        fate = self._get(address, {"source": str(event["source"])})
        if fate["status"] == "quarantined":
            raise SmokeFailed(f"the scorer put {event['type']} in quarantine: {fate.get('reason')}")
        grade = fate.get("grade_after") if fate["status"] == "applied" else None
        return str(grade) if grade else None

    def _alert_id(self) -> str | None:
        """The household's alert, once there is one of grade red."""
        listed = self._get(f"{self._handles['notifier_url']}/v1/alerts", {"household_id": self._household_id})
        return next((str(alert["id"]) for alert in listed["items"] if alert["grade"] == "red"), None)

    def _get(self, address: str, query: Mapping[str, str]) -> dict[str, Any]:
        answer = self._client.get(address, params=dict(query))
        if answer.status_code != 200:
            raise SmokeFailed(f"{httpx2.URL(address).path} answered {answer.status_code}: {answer.text[:500]}")
        found: dict[str, Any] = answer.json()
        return found

    def _received(self, file_name: str, alert_id: str) -> float | None:
        """When a sink received this alert (POSIX seconds): a mail that names it, or a webhook with a good signature."""
        file = self._directory / file_name
        if not file.exists():
            return None
        for line in file.read_text(encoding="utf-8").split("\n")[:-1]:
            if alert_id in line or self._household_id in line:
                entry = json.loads(line)
                if entry.get("verified", True):
                    return datetime.fromisoformat(entry["received_at"]).timestamp()
        return None


def _until(what: str, look: Callable[[], Found | None]) -> Found:
    """Look every 10 ms until something is there. Raises SmokeFailed."""
    deadline = time.monotonic() + STEP_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(POLL_SECONDS)
    raise SmokeFailed(f"after {STEP_SECONDS:.0f} s, this had not come: {what}")
