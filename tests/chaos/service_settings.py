"""What the services of a world are told: as `make run` tells them, with shorter times where they have a setting."""

import os
from collections.abc import Mapping
from pathlib import Path

from deploy.local.ports import LOOPBACK
from tests.chaos.platform import Platform
from tests.chaos.services import Kind

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


POLICIES_VARIABLE = "SHOUWANG_NOTIFIER_POLICIES"


def service_settings(
    platform: Platform, kind: Kind, database: str, topic_prefix: str, ca_file: Path | None, policies: Path
) -> dict[str, str]:
    """The environment of one kind of service. policies: the notifiers' folder of them.

    ca_file: the authority behind the certificates of the people's devices, to be trusted. policies: the notifier's,
    under which nobody waits for a turn: five people hear of everything here, and lateness is judged by the second.
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
        POLICIES_VARIABLE: str(policies),
        **({"SSL_CERT_FILE": str(ca_file)} if ca_file else {}),
        **SHORT_TIMES,
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "PYTHONUNBUFFERED": "1",
    }
