"""`make run`: everything on this machine, in the foreground, until Ctrl-C (`python -m deploy.local.run`).

The plan below is the story: Kafka and PostgreSQL, the schema and the topics, a key and the people to be told, the
mail and webhook sinks, the three services, and an invented county that lives its life.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence

from deploy.local.announce import RunAddresses, announce, write_environment, write_run_file
from deploy.local.children import Command, InUse
from deploy.local.first_setup import FirstSetup
from deploy.local.java import NoJava
from deploy.local.kafka import LocalKafka
from deploy.local.kafka_jars import JarsRefused
from deploy.local.places import REPOSITORY
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import LocalPostgres
from deploy.local.programs import Programs, ServiceCommand, service_command
from deploy.local.readiness import NotReady, http_ready, kafka_round_trip, postgres_answers, smtp_ready, wait_until
from deploy.local.run_lock import AlreadyRunning, RunLock
from deploy.local.run_settings import SERVICES, Ports, RunSettings
from deploy.local.secrets_file import RunSecrets
from deploy.local.server import ServerFailed
from deploy.local.sinks import SECRET_VARIABLE
from deploy.local.supervisor import STOP_SIGNALS, Child, RunFailed, Step, Supervisor, ask_to_stop_on_signals
from deploy.local.system_user import NoSystemUser
from deploy.local.terminal import say
from deploy.local.unpaced import write_unpaced_policies

TELLABLE = (RunFailed, AlreadyRunning, InUse, ServerFailed, JarsRefused, NoJava, NoSystemUser)
# Kafka warns at every start; PostgreSQL's clients make it log ERROR in the ordinary course of work.
KAFKA_WORTH_SHOWING = re.compile(r"\b(ERROR|FATAL)\b")
POSTGRES_WORTH_SHOWING = re.compile(r"\b(FATAL|PANIC)\b")


class LocalRun:
    """One `make run`: its settings, its servers and the plan of what runs.

    command: makes the command line of a service from its name and arguments; tests put stand-ins here.
    """

    def __init__(self, settings: RunSettings, command: ServiceCommand = service_command) -> None:
        self.settings = settings
        self.directory = settings.directory
        self.ports = Ports.choose()
        self.secrets = RunSecrets.load(self.directory)
        self.policies = write_unpaced_policies(self.directory / "policies")
        self.kafka = LocalKafka(self.directory)
        self.postgres = LocalPostgres(self.directory)
        self.command = command
        self.setup = FirstSetup(
            self.directory,
            settings.seed,
            Programs(self.directory),
            self.secrets,
            self.service_environment,
            command,
        )

    def plan(self) -> Sequence[Child | Step]:
        """What runs, each with what it waits for."""
        return [
            self.kafka_entry(),
            self.postgres_entry(),
            Step("migrate", self.setup.migrate, needs=["postgres"]),
            Step("topics", self.setup.make_topics, needs=["kafka"]),
            self.sinks_entry(),
            Step("key", self.setup.make_key, needs=["migrate"]),
            Step("people", self.setup.import_people, needs=["migrate", "sinks"]),
            *[self.service_entry(service) for service in SERVICES],
            Step("key works", self.check_key, needs=["ingest"]),
            *self.county_entries(),
        ]

    def kafka_entry(self) -> Child | Step:
        """Our own Kafka, or a look at the one that KAFKA_BOOTSTRAP_SERVERS names."""
        if self.settings.kafka_bootstrap_servers:
            return Step("kafka", lambda: _reach("KAFKA_BOOTSTRAP_SERVERS", kafka_round_trip, self.bootstrap_servers))
        return Child(
            "kafka",
            self.kafka.prepare,
            self.kafka.ready,
            other_ports=self.kafka.choose_other_ports,
            stop_signal=self.kafka.stop_signal,
            stop_seconds=self.kafka.stop_seconds,
            worth_showing=KAFKA_WORTH_SHOWING,
        )

    def postgres_entry(self) -> Child | Step:
        """Our own PostgreSQL, or a look at the one that DATABASE_URL names."""
        if self.settings.database_url:
            return Step("postgres", lambda: _reach("DATABASE_URL", postgres_answers, self.database_url))
        return Child(
            "postgres",
            self.postgres.prepare,
            self.postgres.ready,
            other_ports=self.postgres.choose_other_ports,
            stop_signal=self.postgres.stop_signal,
            stop_seconds=self.postgres.stop_seconds,
            worth_showing=POSTGRES_WORTH_SHOWING,
        )

    def service_entry(self, service: str) -> Child:
        """One of the three services; ready when its own /readyz says so."""
        return Child(
            service,
            lambda: Command(
                self.command(service, "serve"), environment=self.service_environment(), directory=REPOSITORY
            ),
            lambda: http_ready(f"{self.ports.url(service)}/readyz"),
            needs=["migrate", "topics", *(["key"] if service == "ingest" else [])],
            other_ports=lambda: self.ports.choose_again(service),
        )

    def sinks_entry(self) -> Child:
        """The mail server and webhook receiver that alerts of this run go to."""

        async def ready() -> None:
            await smtp_ready(LOOPBACK, self.ports.chosen["smtp"])
            await http_ready(self.ports.url("webhooks"))

        def other_ports() -> None:
            self.ports.choose_again("smtp")
            self.ports.choose_again("webhooks")

        return Child("sinks", self._sinks_command, ready, other_ports=other_ports, stop_seconds=5)

    def _sinks_command(self) -> Command:
        ports = ("--smtp-port", str(self.ports.chosen["smtp"]), "--http-port", str(self.ports.chosen["webhooks"]))
        argv = [sys.executable, "-m", "deploy.local.sinks", "--directory", str(self.directory), *ports]
        environment = {**self.service_environment(), SECRET_VARIABLE: self.secrets.webhook_secret}
        return Command(argv, environment=environment, directory=REPOSITORY)

    def county_entries(self) -> Sequence[Child]:
        """The invented county, unless SEED=none."""
        if self.settings.seed == "none":
            return []

        def prepare() -> Command:
            argv = [sys.executable, "-m", "deploy.demo.feed"]
            told = {"INGEST_URL": self.ports.url("ingest"), "API_KEY": self.secrets.api_key, "SEED": self.settings.seed}
            return Command(argv, environment={**self.service_environment(), **told}, directory=REPOSITORY)

        return [
            Child(
                "county", prepare, needs=["key works", "people", "scorer", "notifier"], may_finish=True, stop_seconds=5
            )
        ]

    async def check_key(self) -> None:
        """See LocalRun.setup: a key of an earlier run may be unknown to this database."""
        await self.setup.check_key(self.ports.url("ingest"))

    def service_environment(self) -> dict[str, str]:
        """The environment of every service and of the commands that set things up."""
        told = {
            "RUN_DIR": str(self.directory),
            "SHOUWANG_NOTIFIER_SMTP_HOST": LOOPBACK,
            "SHOUWANG_NOTIFIER_SMTP_PORT": str(self.ports.chosen["smtp"]),
            "SHOUWANG_NOTIFIER_MAIL_FROM": os.environ.get("SHOUWANG_NOTIFIER_MAIL_FROM", "shouwang@localhost"),
            "SHOUWANG_NOTIFIER_PUBLIC_URL": self.ports.url("notifier"),
            "SHOUWANG_NOTIFIER_WEBHOOK_ALLOW_PRIVATE": "1",
            "SHOUWANG_NOTIFIER_POLICIES": os.environ.get("SHOUWANG_NOTIFIER_POLICIES", str(self.policies)),
            "SHOUWANG_SINK_WEBHOOK_URL": f"{self.ports.url('webhooks')}/alerts",
            # What runs on this machine is never reached through a proxy.
            "NO_PROXY": f"{os.environ.get('NO_PROXY', '')},{LOOPBACK},localhost".lstrip(","),
            "PYTHONUNBUFFERED": "1",
            # Each of PostgreSQL's processes counts its part of the shared buffers; a few serve this machine as well.
            "SHOUWANG_DATABASE_POOL_SIZE": os.environ.get("SHOUWANG_DATABASE_POOL_SIZE", "3"),
        }
        for service in SERVICES:
            told[f"SHOUWANG_{service.upper()}_HOST"] = LOOPBACK
            told[f"SHOUWANG_{service.upper()}_PORT"] = str(self.ports.chosen[service])
        told["no_proxy"] = told["NO_PROXY"]
        servers = self._servers()
        return {**os.environ, **told, **servers}

    def told_environment(self) -> dict[str, str]:
        """What of the services' environment is this run's own."""
        return {name: value for name, value in self.service_environment().items() if os.environ.get(name) != value}

    def _servers(self) -> dict[str, str]:
        """Addresses of Kafka and PostgreSQL, as far as they are known yet."""
        known: dict[str, str] = {}
        if self.settings.kafka_bootstrap_servers or self.kafka.has_address:
            known["KAFKA_BOOTSTRAP_SERVERS"] = self.bootstrap_servers
        if self.settings.database_url or self.postgres.has_address:
            known["DATABASE_URL"] = self.database_url
        return known

    @property
    def bootstrap_servers(self) -> str:
        """Of the Kafka in use."""
        return self.settings.kafka_bootstrap_servers or self.kafka.bootstrap_servers

    @property
    def database_url(self) -> str:
        """Of the database in use."""
        return self.settings.database_url or self.postgres.dsn

    def addresses(self) -> RunAddresses:
        """What run.json and the terminal tell."""
        return RunAddresses(
            ingest_url=self.ports.url("ingest"),
            scorer_url=self.ports.url("scorer"),
            notifier_url=self.ports.url("notifier"),
            kafka_bootstrap_servers=self.bootstrap_servers,
            database_url=self.database_url,
            api_key=self.secrets.api_key,
            console_user=self.setup.duty_officer,
            console_password=self.secrets.console_password,
            mail_file=str(self.directory / "mail.jsonl"),
            webhook_file=str(self.directory / "webhooks.jsonl"),
        )


async def _reach(variable: str, probe: Callable[[str], Awaitable[None]], address: str) -> None:
    """Wait for a server that somebody else runs. Raises RunFailed, naming the variable that named it."""
    say(f"  using the server that {variable} names")
    try:
        await wait_until(lambda: probe(address), seconds=30, still_alive=lambda: True)
    except NotReady as error:
        raise RunFailed(f"the server that {variable} names cannot be used: {error}") from error


async def run(settings: RunSettings, command: ServiceCommand = service_command) -> None:
    """Run everything until asked to stop. Raises one of TELLABLE."""
    this = LocalRun(settings, command)
    supervisor = Supervisor(settings.directory, this.plan())
    stop_asked = asyncio.Event()
    ask_to_stop_on_signals(stop_asked, supervisor)
    run_file = settings.directory / "run.json"

    def when_ready() -> None:
        write_environment(settings.directory / "environment.sh", this.told_environment())
        write_run_file(run_file, this.addresses())
        announce(settings.directory, this.addresses(), supervisor.seconds_running)

    try:
        await supervisor.run(stop_asked, when_ready)
    finally:
        run_file.unlink(missing_ok=True)


def main(command: ServiceCommand = service_command) -> int:
    """Take the directory's lock and run; the exit code."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler)  # until the supervisor listens: end quietly
    try:
        settings = RunSettings.from_environment()
        with RunLock(settings.directory):
            asyncio.run(run(settings, command))
    except KeyboardInterrupt:
        return 0  # asked to stop before anything was started
    except TELLABLE as error:
        say(f"make run: {error}")
        return 1
    say("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
