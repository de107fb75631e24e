"""What a run sets up before its services start: schema, topics, a key, divisions and a duty officer.

Each step may be repeated: a second run finds what the first one made.
"""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from deploy.demo.county import CountyFiles, write_county_files, write_minimal_files
from deploy.demo.people import DUTY_OFFICER_ID
from deploy.local.programs import Programs, ServiceCommand, service_command
from deploy.local.secrets_file import RunSecrets
from deploy.local.supervisor import RunFailed, in_thread
from deploy.local.terminal import say
from shared.clock import SHANGHAI

DIVISION = "99"
SOURCE_CLASSES = ("department", "survey", "third_party", "cadre", "grid", "self")
KEY_KNOWN_SECONDS = 20.0
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class FirstSetup:
    """The set-up steps of one run.

    seed: of the invented county, "none" for its places and the duty officer alone.
    environment: of the commands, asked for each time because addresses become known on the way.
    """

    duty_officer = DUTY_OFFICER_ID

    def __init__(
        self,
        directory: Path,
        seed: str,
        programs: Programs,
        secrets: RunSecrets,
        environment: Callable[[], Mapping[str, str]],
        command: ServiceCommand = service_command,
    ) -> None:
        self._directory = directory
        self._seed = seed
        self._programs = programs
        self._secrets = secrets
        self._environment = environment
        self._command = command

    async def migrate(self) -> None:
        """Bring the database to the newest schema."""
        await self._do("migrate", "ingest", "migrate")

    async def make_topics(self) -> None:
        """Create the topics that are missing."""
        await self._do("topics", "ingest", "topics")

    async def make_key(self) -> None:
        """Make the key of this run, unless an earlier run made one."""
        if not self._secrets.api_key:
            await self._make_new_key()

    async def check_key(self, ingest_url: str) -> None:
        """Make sure that ingest knows the key; a key of another database is replaced. Raises RunFailed."""
        if not await asyncio.to_thread(_knows, ingest_url, self._secrets.api_key):
            say("  the kept key is not known to this database; making a new one")
            await self._make_new_key()
        for _ in range(int(KEY_KNOWN_SECONDS / 0.5)):
            if await asyncio.to_thread(_knows, ingest_url, self._secrets.api_key):
                return
            await asyncio.sleep(0.5)  # ingest reads new keys every few seconds
        raise RunFailed(f"{ingest_url} does not accept the key it was given {KEY_KNOWN_SECONDS:.0f} s ago")

    async def import_people(self) -> None:
        """Divisions, the duty officer whom every alert can reach, and that person's password."""
        files = await in_thread(self._write_county)
        await self._do("divisions", "notifier", "divisions", "import", str(files.divisions))
        await self._do("staff", "notifier", "staff", "import", str(files.staff))
        password = self._secrets.console_password
        await self._do(
            "password", "notifier", "staff", "set-password", DUTY_OFFICER_ID, "--password-stdin", typed=f"{password}\n"
        )

    async def _make_new_key(self) -> None:
        scopes = ["--division", DIVISION, "--types", "*", "--read-alerts", "--act-on-alerts"]
        scopes += [part for name in SOURCE_CLASSES for part in ("--sourceclasses", name)]
        arguments = ("keys", "create", "--name", "make-run", *scopes, "--json")
        answer = await self._do("key", "ingest", *arguments, wants_answer=True)
        self._secrets.api_key = _key_of(answer)
        self._secrets.save()

    async def _do(
        self, name: str, service: str, *arguments: str, typed: str | None = None, wants_answer: bool = False
    ) -> str:
        argv = self._command(service, *arguments)
        return await self._programs.run(name, argv, self._environment(), typed=typed, wants_answer=wants_answer)

    def _write_county(self) -> CountyFiles:
        folder = self._directory / "setup"
        hook, secret = self._environment()["SHOUWANG_SINK_WEBHOOK_URL"], self._secrets.webhook_secret
        if self._seed == "none":
            return write_minimal_files(folder, webhook_url=hook, webhook_secret=secret)
        today = datetime.now(SHANGHAI).date()
        return write_county_files(int(self._seed), folder, today, webhook_url=hook, webhook_secret=secret)


def _key_of(answer: str) -> str:
    """The key in the answer of `keys create --json`. Raises RunFailed."""
    try:
        return str(json.loads(answer)["key"])
    except (ValueError, KeyError, TypeError) as error:
        raise RunFailed("`shouwang-ingest keys create --json` did not answer with a `key`") from error


def _knows(ingest_url: str, key: str) -> bool:
    """Whether ingest lets this key in: an empty event is refused for its content, not for the key."""
    request = urllib.request.Request(
        f"{ingest_url}/v1/events?dry_run=true",
        data=b"{}",
        headers={"authorization": f"Bearer {key}", "content-type": "application/cloudevents+json"},
    )
    try:
        with _HTTP.open(request, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return error.code not in (401, 403)
    except OSError:
        return False
