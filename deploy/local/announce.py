"""What a run tells when it is ready: on the terminal for people, in run.json for programs."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from deploy.local.red_alert import write_red_alert
from deploy.local.secrets_file import write_private
from shared.clock import SHANGHAI


@dataclass(frozen=True, slots=True)
class RunAddresses:
    """The handles of a run; the names are a contract."""

    ingest_url: str
    scorer_url: str
    notifier_url: str
    kafka_bootstrap_servers: str
    database_url: str
    api_key: str
    console_user: str
    console_password: str
    mail_file: str
    webhook_file: str


def write_run_file(file: Path, addresses: RunAddresses) -> None:
    """Write run.json whole, readable by us alone."""
    write_private(file, json.dumps(asdict(addresses), indent=2) + "\n")


def write_environment(file: Path, environment: Mapping[str, str]) -> None:
    """Write the services' settings of this run as a shell file, for their commands at another prompt."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(environment.items())]
    write_private(file, "".join(lines))


def announce(directory: Path, addresses: RunAddresses, seconds: float) -> None:
    """Print addresses, key, login and the curl line that makes a red alert."""
    events = directory / "red-alert.json"
    household_id = write_red_alert(events, datetime.now(SHANGHAI).date())
    print(
        f"""
Shouwang is ready ({seconds:.1f} s).

  console     {addresses.notifier_url}/   user {addresses.console_user}, password {addresses.console_password}
  ingest      {addresses.ingest_url}
  scorer      {addresses.scorer_url}
  notifier    {addresses.notifier_url}
  Kafka       {addresses.kafka_bootstrap_servers}
  PostgreSQL  {addresses.database_url}
  API key     {addresses.api_key}
  mails       {addresses.mail_file}
  webhooks    {addresses.webhook_file}
  logs        {directory / "logs"}

A red alert for the new household {household_id} (a mail and a webhook follow within seconds):

{curl_line(addresses, events)}

For the services' commands at another prompt:  . {directory / "environment.sh"}
Ctrl-C stops everything; the next `make run` finds its data again.
""",
        flush=True,
    )


def curl_line(addresses: RunAddresses, events: Path) -> str:
    """The command that posts a file of events."""
    words = ["curl", "-sS", f"{addresses.ingest_url}/v1/events/batch"]
    words += ["-H", f"authorization: Bearer {addresses.api_key}"]
    words += ["-H", "content-type: application/cloudevents-batch+json", "--data-binary", f"@{events}"]
    return shlex.join(words)
