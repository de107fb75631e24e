"""What the services of a world are told: as `make run` tells them, with shorter times where they have a setting."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from deploy.local.places import REPOSITORY
from deploy.local.ports import LOOPBACK
from tests.chaos.platform import Platform
from tests.chaos.services import Kind

SHIPPED = REPOSITORY / "shared" / "policies"
MESSAGES_A_DAY = "messages_a_day_per_person_and_household"
NAMES: Mapping[str, Kind] = {
    "ingest": "ingest",
    "scorer-1": "scorer",
    "scorer-2": "scorer",
    "notifier-1": "notifier",
    "notifier-2": "notifier",
}
# A run has a minute to recover in; in the house the same takes longer, and works by the same code.
SHORT_TIMES = {
    "SHOUWANG_NOTIFIER_SEND_TIMEOUT_SECONDS": "4",
    "SHOUWANG_NOTIFIER_PROBE_SECONDS": "1",
    "SHOUWANG_NOTIFIER_LEASE_SECONDS": "8",
    "SHOUWANG_DATABASE_STATEMENT_TIMEOUT_SECONDS": "8",
    "SHOUWANG_RECONCILE_SECONDS": "5",
}


def write_policies(directory: Path) -> Path:
    """Write the national policy without quiet hours and with room for all messages; return its folder.

    A run lasts a minute and is judged by who heard of what by its end, at whatever time of day it is made. Only fields
    that earlier releases know are changed: one of them runs for a while.
    """
    (national,) = SHIPPED.glob("*.json")
    policy = json.loads(national.read_text(encoding="utf-8"))
    policy["delivery"] |= {"quiet_to": policy["delivery"]["quiet_from"], MESSAGES_A_DAY: 100}
    folder = directory / "policies"
    folder.mkdir(exist_ok=True)
    (folder / national.name).write_text(json.dumps(policy, ensure_ascii=False), encoding="utf-8")
    return folder


def service_settings(
    platform: Platform, kind: Kind, database: str, topic_prefix: str, ca_file: Path | None, policies: Path
) -> dict[str, str]:
    """The environment of one kind of service. policies: the notifiers' folder of them.

    ca_file: the authority behind the certificates of the people's devices, to be trusted.
    """
    no_proxy = f"{os.environ.get('NO_PROXY', '')},{LOOPBACK},localhost".lstrip(",")
    return {
        "KAFKA_BOOTSTRAP_SERVERS": platform.bootstrap_of(kind),
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "DATABASE_URL": platform.dsn_of(kind, database),
        "SHOUWANG_DATABASE_POOL_SIZE": "3",
        "SHOUWANG_NOTIFIER_SMTP_HOST": LOOPBACK,
        "SHOUWANG_NOTIFIER_SMTP_PORT": str(platform.links.smtp.port),
        "SHOUWANG_NOTIFIER_MAIL_FROM": "shouwang@localhost",
        "SHOUWANG_NOTIFIER_WEBHOOK_ALLOW_PRIVATE": "1",
        "SHOUWANG_NOTIFIER_POLICIES": str(policies),
        **({"SSL_CERT_FILE": str(ca_file)} if ca_file else {}),
        **SHORT_TIMES,
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "PYTHONUNBUFFERED": "1",
    }
