import json
import subprocess
from datetime import date

import pytest

from deploy.local.places import REPOSITORY
from deploy.local.programs import service_command
from deploy.local.red_alert import red_alert_events


@pytest.mark.parametrize("today", [date(2026, 9, 30), date(2026, 10, 1), date(2028, 2, 29)])
def test_the_events_of_the_curl_line_are_graded_red(today: date) -> None:
    enrolled, illness = red_alert_events("T", today)
    event = {
        "event_id": illness["id"],
        "type": "health.major_illness",
        "occurred_on": today.isoformat(),
        "source": illness["sourceclass"],
        "payload": illness["data"],
    }
    household = {"household_id": "T", **dict(enrolled["data"])}  # type: ignore[call-overload]
    case = {"id": "curl", "household": household, "events": [event], "as_of": today.isoformat()}
    graded = subprocess.run(
        service_command("scorer", "grade"),
        input=json.dumps(case) + "\n",
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert json.loads(graded.stdout)["grade"] == "red"
