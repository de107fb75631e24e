"""The notifier as a process on real Kafka and PostgreSQL: from a change on the log to a mail and a signed webhook."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from deploy.local.unpaced import write_unpaced_policies
from shared.clock import SystemClock
from shared.db.session import transaction
from shared.grade_message import write_grade_change
from shared.topics import GRADE_CHANGES
from tests.fakes.notifier import COUNTY, SECRET, TOWNSHIP, VILLAGE, make_change
from tests.fakes.smtp_receiver import smtp_receiver
from tests.fakes.webhook_receiver import webhook_receiver
from tests.services import ServiceProcess, free_port, log_publisher, rows, until
from tests.told import read_mail, read_webhook

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
DIVISIONS = f"code,name\n{COUNTY},示范县\n{TOWNSHIP},一号乡\n{VILLAGE},某村\n"


class Notifier:
    """A notifier process with a relay and a webhook receiver of its own."""

    def __init__(self, platform, relay, hook, folder: Path):
        self.port, self.folder, self.relay, self.hook = free_port(), folder, relay, hook
        self.environment = {
            **platform.environment,
            "SHOUWANG_NOTIFIER_PORT": str(self.port),
            "SHOUWANG_NOTIFIER_INSTANCE": "one",
            "SHOUWANG_NOTIFIER_SMTP_PORT": str(relay.port),
            "SHOUWANG_NOTIFIER_WEBHOOK_ALLOW_PRIVATE": "1",
            "SHOUWANG_NOTIFIER_LEASE_SECONDS": "2",
            "SHOUWANG_NOTIFIER_SEND_TIMEOUT_SECONDS": "1.5",
        }
        self.process = ServiceProcess("notifier", self.environment, folder / "notifier.log")
        self.url = f"http://127.0.0.1:{self.port}"

    async def command(self, *arguments, typed=""):
        program = Path(sys.executable).with_name("shouwang-notifier")
        return await asyncio.to_thread(
            subprocess.run,
            [str(program), *arguments],
            env={"PATH": "/usr/bin:/bin", **self.environment},
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
        )

    async def import_people(self):
        (self.folder / "divisions.csv").write_text(DIVISIONS, encoding="utf-8")
        (self.folder / "staff.csv").write_text(
            "staff_id,name,role,division,email,webhook_url,webhook_secret\n"
            f"cadre-1,虚青山,cadre,{VILLAGE},cadre-1@staff.example,{self.hook.url},{SECRET}\n"
            f"town-1,虚晓溪,township,{TOWNSHIP},town-1@staff.example,,\n",
            encoding="utf-8",
        )
        for list_name in ("divisions", "staff"):
            done = await self.command(list_name, "import", str(self.folder / f"{list_name}.csv"))
            assert done.returncode == 0, done.stderr

    async def is_ready(self):
        async with httpx2.AsyncClient() as client:
            try:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
            except httpx2.HTTPError:
                return False


@pytest.fixture
async def notifier(platform, tmp_path):
    async with smtp_receiver() as relay, webhook_receiver() as hook:
        made = Notifier(platform, relay, hook, tmp_path)
        yield made
        await asyncio.to_thread(made.process.end)


async def put(publisher, *changes):
    for change in changes:
        await publisher.publish(GRADE_CHANGES, change.household_id, write_grade_change(change), within_seconds=20)


async def test_a_red_grade_on_the_log_becomes_a_mail_a_webhook_and_a_page(platform, notifier):
    await notifier.import_people()
    done = await notifier.command("staff", "set-password", "cadre-1", "--password-stdin", typed="a long password\n")
    assert (done.returncode, done.stdout) == (0, "password set\n"), done.stderr
    notifier.process.start()
    await until(notifier.is_ready, 40)
    async with log_publisher(platform) as log:
        await put(log, make_change("red", decided_at=SystemClock().now()))

        async def told():
            return len(notifier.relay.mails) == 2 and len(notifier.hook.journal) == 1

        await until(told, 20)
    (request,) = notifier.hook.journal
    body = Webhook(SECRET).verify(request.body, request.headers)
    async with httpx2.AsyncClient(base_url=notifier.url) as client:
        assert (await client.get("/")).status_code == 303
        assert "登录" in (await client.get("/login")).text
        metrics = (await client.get("/metrics")).text
    assert 'shouwang_notifier_alerts_opened_total{grade="red"} 1.0' in metrics
    assert 'shouwang_notifier_deliveries_total{outcome="sent"} 3.0' in metrics
    why = await notifier.command("why", body["alert_id"])
    assert (why.returncode, why.stdout.count("sent after 1 attempts")) == (0, 3), why.stderr
    assert notifier.process.stop() == 0, notifier.process.said()[-2000:]
    said = notifier.process.said()
    assert "staff.example" not in said
    assert "虚青山" not in said


async def test_a_notifier_killed_in_full_flow_loses_no_alert_climbs_once_and_repeats_only_under_the_same_id(
    platform, notifier, engine
):
    notifier.environment["SHOUWANG_NOTIFIER_POLICIES"] = str(write_unpaced_policies(notifier.folder / "policies"))
    await notifier.import_people()
    notifier.relay.delay_seconds = 0.02
    households = [f"H-{number}" for number in range(150)]
    async with log_publisher(platform) as log:
        notifier.process.start()
        feeding = asyncio.create_task(put(log, *(make_change("red", household_id=one) for one in households)))
        for kill_at in (20, 70, 120):
            await until(lambda least=kill_at: _told(notifier, least), 60)
            notifier.process.kill()
            notifier.process.start()
        await feeding

        await until(lambda: sent(engine, 3 * len(households)), 90)
    await two_hours_pass(engine)
    for least in (1, 101):
        await until(lambda least=least: climbed(engine, least), 60)
        notifier.process.kill()
        notifier.process.start()
    await until(lambda: sent(engine, 4 * len(households)), 90)
    (hops,) = await rows(engine, "SELECT count(*) AS n FROM alert_step WHERE kind = 'climbed'")
    assert hops.n == len(households)
    assert await asyncio.to_thread(notifier.process.stop) == 0, notifier.process.said()[-2000:]
    (found,) = await rows(engine, "SELECT count(*) AS n, count(DISTINCT household_id) AS households FROM alert")
    assert (found.n, found.households) == (len(households), len(households))
    # Each delivery was told in one message alone, however often that came.
    assert sorted(household for _, household in _named(notifier)) == sorted(households)
    mails = {
        (str(mail["Message-ID"]), one.household)
        for mail in notifier.relay.mails
        for one in read_mail(mail.get_content()).alerts
        if one.is_new
    }
    assert sorted(household for _, household in mails) == sorted(3 * households)


async def two_hours_pass(engine):
    """Nobody acknowledges anything meanwhile."""
    async with transaction(engine) as connection:
        earlier = "climb_from = climb_from - interval '2 hours', timer_at = timer_at - interval '2 hours'"
        await connection.execute(text(f"UPDATE alert SET {earlier}"))


async def sent(engine, number):
    (row,) = await rows(engine, "SELECT count(*) AS n FROM delivery WHERE status = 'sent'")
    return row.n == number


async def climbed(engine, least):
    (row,) = await rows(engine, "SELECT count(*) AS n FROM alert WHERE climbed = 1")
    return row.n >= least


async def _told(notifier, least):
    return len(_named(notifier)) >= least


def _named(notifier):
    """By which webhook each household was told."""
    return {
        (request.headers["webhook-id"], one.household)
        for request in notifier.hook.journal
        for one in read_webhook(request.body).alerts
        if one.is_new
    }


async def test_commands_say_what_to_mend_and_change_nothing(platform, notifier, engine):
    await notifier.import_people()
    bad = notifier.folder / "bad.csv"
    bad.write_text(
        "staff_id,name,role,division,email,webhook_url,webhook_secret\n"
        f"new-1,虚明远,grid,{VILLAGE},new-1@staff.example,,\n"
        f"new-2,虚明远,mayor,{VILLAGE},new-2@staff.example,,\n",
        encoding="utf-8",
    )
    done = await notifier.command("staff", "import", str(bad))
    assert done.returncode == 2
    assert done.stderr.startswith("line 3: role: give one of cadre, grid,")
    assert "nothing was imported" in done.stderr
    (row,) = await rows(engine, "SELECT count(*) AS n FROM staff")
    assert row.n == 2
    short = await notifier.command("staff", "set-password", "cadre-1", "--password-stdin", typed="short\n")
    unknown = await notifier.command("staff", "set-password", "nobody", "--password-stdin", typed="a long password\n")
    nothing = await notifier.command("why", "nothing")
    assert [one.returncode for one in (short, unknown, nothing)] == [2, 2, 2]
    notifier.hook.answers = ["500 Broken"]
    test = await notifier.command("channel", "test", "cadre-1")
    assert test.returncode == 1
    assert "smtp: sent (250" in test.stdout
    assert "webhook: failed (http_500)" in test.stdout
