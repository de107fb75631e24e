"""The READMEs' way from a clone to the first alert, executed as it stands there."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.demo.county import make_county
from deploy.demo.events import enrolment_event
from deploy.local.places import REPOSITORY
from deploy.local.smoke_run import SmokeRun
from shared.clock import SHANGHAI
from tests.platform.waiting import eventually

READMES = ("README.md", "README.zh-CN.md")
HOUSEHOLD = "D1-1028"
MARKED = re.compile(r"^<!-- executed: (\w+) -->\n```sh\n(.*?)^```$", re.M | re.S)


def commands(readme: str) -> dict[str, str]:
    """The marked shell blocks of a README by their names."""
    return dict(MARKED.findall((REPOSITORY / readme).read_text(encoding="utf-8")))


def test_both_readmes_hold_the_same_commands() -> None:
    english, chinese = map(commands, READMES)
    assert english == chinese
    assert list(english) == ["post", "alerts", "mail"]


class Terminal:
    """A reader's second terminal, beside a run with other ports and another directory than the README's."""

    def __init__(self, run: SmokeRun, handles: Mapping[str, str]) -> None:
        self._instead = {
            "http://127.0.0.1:8080": handles["ingest_url"],
            "http://127.0.0.1:8082": handles["notifier_url"],
            ".local/": f"{run.directory}/",
        }

    def type(self, command: str) -> str:
        """What bash prints for a command; the HTTP status stands on the last line where the command is curl."""
        # In one pass: an address put in may look like one that is still to be replaced.
        pattern = re.compile("|".join(map(re.escape, self._instead)))
        here = pattern.sub(lambda found: self._instead[found[0]], command)
        here = here.replace("curl -sS ", r"curl -sS --noproxy '*' -w '\n%{http_code}' ")
        done = subprocess.run(["bash", "-c", here], cwd=REPOSITORY, capture_output=True, text=True, timeout=30)
        assert done.stderr == ""
        return done.stdout


@pytest.fixture
def run(tmp_path: Path) -> Iterator[SmokeRun]:
    running = SmokeRun(tmp_path / "run")
    with running:
        yield running
    assert running.left_behind == []
    assert not running.directory.exists()


def enrol(handles: Mapping[str, str]) -> None:
    """Enter the README's household into the register, as `make run` does with SEED=1, and wait until it is graded."""
    county = make_county(1, datetime.now(SHANGHAI).date())
    household = next(known for known in county.households if known.household_id == HOUSEHOLD)
    event = enrolment_event(county, household)
    headers = {"authorization": f"Bearer {handles['api_key']}", "content-type": "application/cloudevents+json"}
    with httpx2.Client(base_url=handles["ingest_url"], headers=headers, trust_env=False) as client:
        assert client.post("/v1/events", content=json.dumps(event).encode()).status_code == 202

        def grade() -> Any:
            return client.get(f"/v1/events/{event['id']}", params={"source": str(event["source"])}).json()

        assert eventually(lambda: grade()["status"] == "applied"), grade()
        assert grade()["grade_after"] == "green", "the README's household must not be at risk before its illness"


def answers(terminal: Terminal, command: str, right: Callable[[str], bool]) -> str:
    """Type a command until its answer is right."""
    said = [""]

    def asked() -> bool:
        said.append(terminal.type(command))
        return right(said[-1])

    assert eventually(asked), said[-1]
    return said[-1]


@pytest.mark.integration
@pytest.mark.timeout(180)
def test_the_readmes_commands_lead_to_a_red_alert_and_a_mail(run: SmokeRun) -> None:
    handles = run.wait_ready()
    enrol(handles)
    terminal, typed = Terminal(run, handles), commands(READMES[0])

    receipt, status = terminal.type(typed["post"]).splitlines()
    assert (status, json.loads(receipt)["status"]) == ("202", "accepted")

    listed = answers(terminal, typed["alerts"], lambda said: '"grade":"red"' in said)
    page, status = listed.splitlines()
    (alert,) = json.loads(page)["items"]
    assert (status, alert["household_id"], alert["status"]) == ("200", HOUSEHOLD, "open")

    mail = json.loads(answers(terminal, typed["mail"], lambda said: alert["id"] in said))
    assert "红色预警" in mail["subject"]
