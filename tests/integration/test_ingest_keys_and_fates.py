"""Ingest beside a real database: keys take effect within seconds, and a sender hears what became of his event."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from deploy.local.postgres import LocalPostgres
from services.ingest.main import cli
from services.ingest.store import FateStore
from shared.clock import SystemClock
from shared.db.migrate import migrate
from shared.db.session import transaction
from shared.errors import TemporaryFailure
from shared.events.catalogue import EVENT_TYPES
from shared.events.envelope import event_identity
from shared.events.schemas import example_event
from tests.conftest import Platform
from tests.fakes.ingest_edge import STRUCTURED, make_event
from tests.integration.test_ingest_log import running_ingest
from tests.services import running_scorer, until

pytestmark = pytest.mark.integration
SOURCE = "urn:app:village-notes"
NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


async def run_cli(platform: Platform, *arguments: str) -> Result:
    def run() -> Result:
        return CliRunner().invoke(cli, arguments, env=platform.environment, catch_exceptions=False)

    return await asyncio.to_thread(run)


async def create(platform: Platform, *arguments: str) -> dict[str, Any]:
    made = await run_cli(platform, "keys", "create", "--name", "test", "--json", *arguments)
    assert made.exit_code == 0, made.output
    found: dict[str, Any] = json.loads(made.stdout)
    return found


async def status_with(client: httpx2.AsyncClient, key: str, **changes: Any) -> int:
    headers = {"authorization": f"Bearer {key}", "content-type": STRUCTURED}
    return (await client.post("/v1/events", content=json.dumps(make_event(**changes)), headers=headers)).status_code


async def seconds_until(client: httpx2.AsyncClient, key: str, status: int) -> float:
    started = time.monotonic()

    async def answered() -> bool:
        return await status_with(client, key) == status

    await until(answered, 10)
    return time.monotonic() - started


async def test_keys_are_made_and_revoked_while_the_service_runs(platform: Platform, tmp_path: Path) -> None:
    async with running_ingest(platform, tmp_path) as ingest:
        made = await create(
            platform, "--division", "99", "--types", "health.*,work.job_loss", "--sourceclasses", "cadre"
        )
        assert await seconds_until(ingest.client, made["key"], 202) < 5
        assert await status_with(ingest.client, made["key"], sourceclass="department") == 403
        assert await status_with(ingest.client, made["key"], type="cn.shouwang.work.hours_cut.v1", data={}) == 403
        assert await status_with(ingest.client, made["key"], type="cn.shouwang.work.job_loss.v1", data={}) == 202
        revoked = await run_cli(platform, "keys", "revoke", made["key_id"])
        assert revoked.exit_code == 0
        assert await seconds_until(ingest.client, made["key"], 401) < 5
    again = await run_cli(platform, "keys", "revoke", made["key_id"])
    assert again.exit_code == 1


async def test_the_list_of_keys_shows_what_they_may_do_but_no_secret(platform: Platform) -> None:
    writer = await create(platform, "--division", "9901", "--types", "*", "--sourceclasses", "self")
    reader = await create(platform, "--division", "99", "--read-alerts", "--act-on-alerts", "--expires-in-days", "30")
    await run_cli(platform, "keys", "revoke", writer["key_id"])
    listed = await run_cli(platform, "keys", "list")
    as_json = [json.loads(line) for line in (await run_cli(platform, "keys", "list", "--json")).stdout.splitlines()]
    assert "division 9901; writes * as self" in listed.stdout
    assert "reads alerts; acts on alerts" in listed.stdout
    assert {row["key_id"]: row["state"] for row in as_json} == {
        writer["key_id"]: "revoked",
        reader["key_id"]: "in force",
    }
    for made in (writer, reader):
        assert made["key"].partition(".")[2] not in listed.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--division", "99", "--types", "health.plague", "--sourceclasses", "self"],
        ["--division", "99", "--types", "*"],
        ["--division", "99", "--types", "*", "--sourceclasses", "neighbour"],
        ["--division", "9", "--read-alerts"],
        ["--division", "\uff19\uff19", "--read-alerts"],
        ["--division", "9901010101010", "--read-alerts"],
        [],
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(platform: Platform, arguments: list[str]) -> None:
    made = await run_cli(platform, "keys", "create", "--name", "test", *arguments)
    assert made.exit_code == 2
    assert (await run_cli(platform, "keys", "list")).stdout == ""


async def test_commands_on_an_empty_database_say_what_to_do(platform: Platform, postgres: Any) -> None:
    empty = Platform(platform.kafka, postgres.create_database(f"empty_{time.time_ns()}"), platform.topic_prefix)
    answer = await run_cli(empty, "keys", "list")
    assert answer.exit_code == 1
    assert "migrate" in answer.output


async def test_known_keys_still_work_while_the_database_is_away(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    with LocalPostgres(tmp_path / "own", port=0, durable=False) as own:
        await asyncio.to_thread(migrate, own.dsn)
        platform = Platform(kafka, own.dsn, topic_prefix)
        async with running_ingest(platform, tmp_path) as ingest:
            assert (await ingest.post(make_event())).status_code == 202
            await asyncio.to_thread(own.kill)
            await asyncio.sleep(4)
            assert (await ingest.post(make_event(id="e-2"))).status_code == 202
            assert await ingest.is_ready()
            fate = await ingest.client.get("/v1/events/e-2")
            assert fate.status_code == 503
            assert "retry-after" in fate.headers
            await asyncio.to_thread(own.start)

            async def told() -> bool:
                return (await ingest.client.get("/v1/events/e-2")).status_code == 200

            await until(told, 10)


async def put_ledger_row(engine: AsyncEngine, event_id: str, source: str, key_id: str, **changes: Any) -> None:
    row = {
        "identity": event_identity(source, event_id),
        "household_id": "H-1",
        "household_seq": int.from_bytes(event_identity(source, event_id)[:6], "big"),
        "source": source,
        "event_id": event_id,
        "type": "health.major_illness",
        "source_class": "cadre",
        "division": "990100101201",
        "occurred_on": NOW.date(),
        "recorded_on": NOW.date(),
        "recorded_at": NOW,
        "payload": b"{}",
        "content_hash": b"0" * 16,
        "key_id": key_id,
        "topic_partition": 0,
        "topic_offset": 0,
        "grade_before": 0,
        "grade_after": 4,
    } | changes
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    async with transaction(engine) as connection:
        await connection.execute(text(f"INSERT INTO event_ledger ({names}) VALUES ({values})"), row)


async def put_quarantined(engine: AsyncEngine, event_id: str, reason: str, key_id: str, offset: int) -> None:
    async with transaction(engine) as connection:
        await connection.execute(
            text(
                "INSERT INTO quarantine"
                " (topic, topic_partition, topic_offset, reason, detail, source, event_id, key_id)"
                " VALUES ('household.events.v1', 0, :offset, :reason, 'why', :source, :event_id, :key_id)"
            ),
            {"offset": offset, "reason": reason, "source": SOURCE, "event_id": event_id, "key_id": key_id},
        )


async def test_the_store_reads_only_what_the_key_has_sent(engine: AsyncEngine) -> None:
    store = FateStore(engine)
    await put_ledger_row(engine, "e-1", SOURCE, "mine")
    await put_ledger_row(engine, "e-1", "urn:other", "mine")
    await put_ledger_row(engine, "e-2", SOURCE, "theirs")
    await put_quarantined(engine, "e-1", "CONFLICTING_DUPLICATE", "mine", 5)
    await put_quarantined(engine, "e-1", "CONFLICTING_DUPLICATE", "theirs", 6)
    ledger, quarantined = await store.find("mine", "e-1", SOURCE)
    assert [(entry.source, entry.grade_before, entry.grade_after) for entry in ledger] == [(SOURCE, 0, 4)]
    assert [record.topic_offset for record in quarantined] == [5]
    ledger, _ = await store.find("mine", "e-1", None)
    assert {entry.source for entry in ledger} == {SOURCE, "urn:other"}
    assert await store.find("mine", "e-2", None) == ([], [])
    assert await store.find("mine", "e-2", SOURCE) == ([], [])


async def test_the_fate_of_an_event_is_told_to_its_sender(
    platform: Platform, engine: AsyncEngine, tmp_path: Path
) -> None:
    async with running_ingest(platform, tmp_path) as ingest:
        assert (await ingest.post(make_event())).status_code == 202
        assert (await ingest.client.get("/v1/events/e-1")).json()["status"] == "accepted"
        key_id = ingest.client.headers["authorization"].removeprefix("Bearer ").partition(".")[0]
        await put_ledger_row(engine, "e-1", SOURCE, key_id)
        await put_quarantined(engine, "e-1", "CONFLICTING_DUPLICATE", key_id, 9)
        fate = (await ingest.client.get(f"/v1/events/e-1?source={SOURCE}")).json()
        assert (fate["status"], fate["grade_before"], fate["grade_after"]) == ("applied", "green", "red")
        assert fate["conflicts"] == 1
        assert (await ingest.client.get("/v1/events/e-404")).status_code == 404


async def test_fates_as_the_scorer_writes_them(platform: Platform, tmp_path: Path) -> None:
    enrolment = example_event(EVENT_TYPES["registry.enrolled"]) | {"id": "enrol", "subject": "H-1", "source": SOURCE}
    async with running_ingest(platform, tmp_path) as ingest, running_scorer(platform, SystemClock()):
        for event in (
            enrolment,
            make_event(),
            make_event(data={"self_pay_yuan": 5}),
            make_event(id="w", subject="H-9"),
        ):
            assert (await ingest.post(event)).status_code == 202

        async def fate(event_id: str) -> dict[str, Any]:
            found: dict[str, Any] = (await ingest.client.get(f"/v1/events/{event_id}?source={SOURCE}")).json()
            return found

        async def passed() -> bool:
            return (await fate("e-1"))["conflicts"] == 1 and (await fate("w"))["status"] != "accepted"

        await until(passed, 30)
        applied = await fate("e-1")
        assert (applied["status"], applied["household_id"]) == ("applied", "H-1")
        assert applied["grade_after"] in ("blue", "yellow", "orange", "red")
        assert (await fate("w"))["status"] == "waiting_for_enrolment"


async def test_a_query_that_lasts_too_long_is_not_waited_for(engine: AsyncEngine) -> None:
    async with engine.begin() as blocker:
        await blocker.execute(text("LOCK TABLE quarantine IN ACCESS EXCLUSIVE MODE"))
        async with asyncio.timeout(4):
            with pytest.raises(TemporaryFailure):
                await FateStore(engine).find("k", "e", SOURCE)
