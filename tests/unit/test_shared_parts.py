"""Settings, logs, clock, access keys and topics: small parts that every service leans on."""

import json
import logging
from datetime import UTC, date, datetime, timedelta

import pytest

from shared.access import AccessKey, Scopes, hash_secret, make_secret, split_key
from shared.clock import SettableClock, day_of, to_rfc3339
from shared.logs import configure_logs, get_logger, redact
from shared.settings import ServiceSettings, asyncpg_url, load_settings, variable_names
from shared.topics import ALL_TOPICS, GRADES, HOUSEHOLD_EVENTS

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


def test_a_day_is_the_day_in_shanghai() -> None:
    assert day_of(datetime(2026, 3, 1, 16, 0, tzinfo=UTC)) == date(2026, 3, 2)
    assert day_of(datetime(2026, 3, 1, 15, 59, 59, tzinfo=UTC)) == date(2026, 3, 1)
    with pytest.raises(ValueError, match="time zone"):
        day_of(datetime(2026, 3, 1))


def test_a_settable_clock_moves_only_when_told() -> None:
    clock = SettableClock(NOW)
    clock.move(timedelta(days=2))
    assert to_rfc3339(clock.now()) == "2026-03-04T01:30:00.000Z"


def test_every_fault_of_the_settings_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://nobody@nowhere/x")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("SHOUWANG_LOG_LEVEL", "LOUD")
    with pytest.raises(SystemExit) as ended:
        load_settings(ServiceSettings)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert all(name in told for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "SHOUWANG_LOG_LEVEL"))
    assert "nowhere" not in told


def test_the_database_driver_is_always_spelled_out() -> None:
    assert asyncpg_url("postgresql://u:p@h:1/d") == asyncpg_url("postgresql+asyncpg://u:p@h:1/d")
    assert variable_names(ServiceSettings)["database_url"] == "DATABASE_URL"


def test_a_log_line_is_json_without_personal_data(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    try:
        configure_logs("tests")
        get_logger("x").info("note 110101199003070013", name="王某", household_id="H1", told="call 13800001234")
        line = json.loads(capsys.readouterr().out)
    finally:
        logging.getLogger().handlers[:] = before
    assert line["household_id"] == "H1"
    assert line["name"] == "[redacted]"
    assert "138" not in line["told"]
    assert "1101" not in line["event"]


def test_redaction_leaves_ids_and_instants_alone() -> None:
    entry = {
        "event_id": "0193a1b2-7c00-7000-8000-000000000001",
        "at": "2026-03-02T01:30:00.000Z",
        "offset": 12345678901,
    }
    assert redact(None, "info", dict(entry)) == entry


def test_a_key_is_known_by_its_hash_alone() -> None:
    key_id, secret = make_secret()
    key = AccessKey(
        key_id=key_id,
        secret_sha256=hash_secret(secret),
        name="app",
        scopes=Scopes(division="9901", types=("health.*", "work.job_loss"), sourceclasses=()),
        created_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )
    assert split_key(f"{key_id}.{secret}") == (key_id, secret)
    assert key.matches(secret)
    assert not key.matches(secret + "x")
    assert key.in_force(NOW)
    assert not key.in_force(NOW + timedelta(hours=1))
    assert secret not in repr(key)


def test_scopes_cover_their_own_division_and_types_only() -> None:
    scopes = Scopes(division="9901", types=("health.*", "work.job_loss"))
    assert scopes.covers("990100101201")
    assert not scopes.covers("990200101201")
    assert scopes.may_write("health.accident")
    assert scopes.may_write("work.job_loss")
    assert not scopes.may_write("work.hours_cut")


def test_three_brokers_keep_every_acknowledged_record_on_two() -> None:
    assert HOUSEHOLD_EVENTS.config(3)["min.insync.replicas"] == "2"
    assert HOUSEHOLD_EVENTS.config(1)["min.insync.replicas"] == "1"
    assert GRADES.config(3)["cleanup.policy"] == "compact"
    assert all(topic.config(3)["unclean.leader.election.enable"] == "false" for topic in ALL_TOPICS)
