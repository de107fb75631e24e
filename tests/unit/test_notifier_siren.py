"""The last call for help: when it sounds, how often, and that it is on the disk."""

import json
import os
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from services.notifier import siren as siren_module
from services.notifier.core.outage import is_channels_fault
from services.notifier.core.retries import Attempt
from services.notifier.metrics import NotifierMetrics
from services.notifier.siren import Siren
from shared.alerts import ChannelName
from shared.clock import SettableClock
from shared.metrics import ServiceMetrics
from tests.fakes.notifier import NOW, make_settings

TAKEN, TIMEOUT = Attempt("sent", receipt="250 OK"), Attempt("timeout")


class House:
    def __init__(self, file):
        self.file, self.clock, self.registry = file, SettableClock(NOW), CollectorRegistry()
        self.siren = Siren(file, self.clock, NotifierMetrics(ServiceMetrics("notifier", self.registry)))

    def lines(self):
        return [json.loads(line) for line in self.file.read_text("utf-8").splitlines()] if self.file.exists() else []

    def metric(self, name, **labels):
        return self.registry.get_sample_value(f"shouwang_notifier_{name}", labels)

    async def after(self, seconds):
        self.clock.move(timedelta(seconds=seconds))
        await self.siren.watch()
        return len(self.lines())


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "siren.jsonl")


async def test_it_sounds_once_when_every_channel_in_use_has_failed_for_two_minutes(house):
    house.siren.ended(ChannelName.SMTP, TIMEOUT)
    assert await house.after(60) == 0
    house.siren.ended(ChannelName.WEBHOOK, TIMEOUT)
    house.siren.ended(ChannelName.SMTP, TIMEOUT)
    assert await house.after(119) == 0
    assert await house.after(1) == 1
    assert await house.after(600) == 1
    assert house.lines() == [
        {
            "at": "2026-03-02T01:33:00.000Z",
            "call": "no_channel_works",
            "channels": ["smtp", "webhook"],
            "since": "2026-03-02T01:31:00.000Z",
        }
    ]
    assert house.metric("siren_total", call="no_channel_works") == 1


async def test_one_channel_that_works_keeps_it_silent_and_a_new_outage_sounds_again(house):
    house.siren.ended(ChannelName.SMTP, TIMEOUT)
    house.siren.ended(ChannelName.WEBHOOK, TAKEN)
    assert await house.after(600) == 0
    house.siren.ended(ChannelName.WEBHOOK, TIMEOUT)
    assert await house.after(120) == 1
    house.siren.ended(ChannelName.SMTP, TAKEN)
    house.siren.ended(ChannelName.SMTP, TIMEOUT)
    assert await house.after(119) == 1
    assert await house.after(1) == 2


async def test_a_process_that_has_sent_nothing_is_silent(house):
    assert await house.after(9_999) == 0


@pytest.mark.parametrize(
    ("attempt", "fault"),
    [
        (TAKEN, False),
        (Attempt("smtp_550", permanent=True), False),
        (Attempt("smtp_450"), False),
        (Attempt("smtp_421"), True),
        (Attempt("smtp_535"), True),
        (Attempt("http_500"), True),
        (Attempt("wecom_40001"), True),
    ],
)
def test_one_persons_address_does_not_speak_against_the_channel(attempt, fault):
    assert is_channels_fault(attempt) is fault


async def test_alerts_that_reach_nobody_are_on_the_disk_when_it_returns(house, monkeypatch):
    synced = []
    monkeypatch.setattr(siren_module.os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    await house.siren.unreachable([("a-1", "990100101201"), ("a-2", "990100101201")])
    await house.siren.unreachable([])
    assert [(line["call"], line["alert_id"]) for line in house.lines()] == [
        ("unreachable_alert", "a-1"),
        ("unreachable_alert", "a-2"),
    ]
    assert synced == [house.file.stat().st_size]


async def test_a_file_that_cannot_be_written_is_counted_and_stops_nothing(tmp_path):
    house = House(tmp_path)
    await house.siren.unreachable([("a-1", "990100101201")])
    assert house.metric("siren_unwritten_total") == 1


def test_a_file_in_a_folder_that_does_not_exist_is_refused_at_the_start(tmp_path):
    with pytest.raises(ValueError, match="make it first"):
        make_settings(siren_file=tmp_path / "none" / "siren.jsonl")
