"""What `make run` can be told, and the addresses of one run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from deploy.local.places import REPOSITORY
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.supervisor import RunFailed

SERVICES = ("ingest", "scorer", "notifier")
DEFAULT_PORTS = {"ingest": 8080, "scorer": 8081, "notifier": 8082, "smtp": 8025, "webhooks": 8026}


@dataclass(frozen=True, slots=True)
class RunSettings:
    """RUN_DIR, SEED, and the servers that are there already.

    seed: digits, of the invented county; "none" leaves out households and the event stream.
    """

    directory: Path
    seed: str
    database_url: str | None
    kafka_bootstrap_servers: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the four variables; an empty one counts as not given. Raises RunFailed."""
        seed = environment.get("SEED") or "1"
        if seed != "none" and not (seed.isascii() and seed.isdecimal() and len(seed) <= 6):
            raise RunFailed("SEED must be a whole number from 0 to 999999, or none")
        return cls(
            directory=(REPOSITORY / (environment.get("RUN_DIR") or ".local")).resolve(),
            seed=seed,
            database_url=environment.get("DATABASE_URL") or None,
            kafka_bootstrap_servers=environment.get("KAFKA_BOOTSTRAP_SERVERS") or None,
        )


@dataclass(slots=True)
class Ports:
    """Loopback ports of the services and sinks: the default ones, or the next that are free."""

    chosen: dict[str, int] = field(default_factory=dict)

    @classmethod
    def choose(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Choose all; SHOUWANG_<SERVICE>_PORT names another default for a service."""
        ports = cls()
        for name, default in DEFAULT_PORTS.items():
            wanted = environment.get(f"SHOUWANG_{name.upper()}_PORT", "")
            ports.chosen[name] = free_port(int(wanted) if wanted.isdecimal() else default)
        return ports

    def choose_again(self, name: str) -> None:
        """Somebody was faster: take the next one."""
        self.chosen[name] = free_port(self.chosen[name])

    def url(self, name: str) -> str:
        """`http://127.0.0.1:port` of a service or of the webhook sink."""
        return f"http://{LOOPBACK}:{self.chosen[name]}"
