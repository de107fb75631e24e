"""The local run's mail server for a line, and what came to it."""

import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.readiness import smtp_ready, wait_until
from deploy.local.sinks import SECRET_VARIABLE
from tests.bench.bench import Bench
from tests.bench.house.people import SECRET
from tests.bench.house.receiver import Received
from tests.told import read_mail

READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Mails:
    """Where mails come to. journal: see deploy/local/sinks.py."""

    port: int
    journal: Path

    @property
    def settings(self) -> Mapping[str, str]:
        """What a notifier needs to know to send its mails here."""
        return {"SHOUWANG_NOTIFIER_SMTP_HOST": LOOPBACK, "SHOUWANG_NOTIFIER_SMTP_PORT": str(self.port)}

    def received(self) -> Iterator[Received]:
        """Every mail so far; a line that is not whole yet is left for the next time."""
        for line in self.journal.read_text(encoding="utf-8").split("\n")[:-1]:
            entry = json.loads(line)
            at = datetime.fromisoformat(entry["received_at"]).timestamp()
            yield Received(at, entry["to"][0].partition("@")[0], entry["message_id"], read_mail(entry["text"]))


@asynccontextmanager
async def mail_server(bench: Bench, name: str) -> AsyncIterator[Mails]:
    """Run it with an empty journal."""
    platform = await bench.platform()
    directory = platform.scratch / name
    found = Mails(free_port(0), directory / "mail.jsonl")
    argv = [sys.executable, "-m", "deploy.local.sinks", "--directory", str(directory)]
    argv += ["--smtp-port", str(found.port), "--http-port", str(free_port(0))]
    async with platform.command(f"mails-{name}", argv, settings={SECRET_VARIABLE: SECRET}) as running:
        await wait_until(
            lambda: smtp_ready(LOOPBACK, found.port), seconds=READY_SECONDS, still_alive=lambda: running.is_running
        )
        yield found
