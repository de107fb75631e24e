"""The invented county's stream: the right mix, sound events, and faults where they are meant to be."""

import json
import math
import statistics
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from deploy.demo.county import County, make_county
from deploy.demo.events import EventStream, Manner, StreamedEvent
from deploy.demo.happenings import MIX, shares
from deploy.demo.spoil import WAYS
from services.ingest.check_event import check_event
from shared.access import AccessKey, Scopes
from shared.codec import decode_json
from shared.errors import RefusedRequest
from shared.events.catalogue import EVENT_TYPES
from shared.events.envelope import EventMessage
from shared.events.household_event import SourceClass
from tests.unit.test_demo_county import PERSONAL_NUMBER

BEGAN = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
COUNT = 20_000
STEP = timedelta(seconds=0.5)
SCOPES = Scopes(division="99", types=("*",), sourceclasses=tuple(SourceClass))
KEY = AccessKey(key_id="k1", secret_sha256=b"", name="demo", scopes=SCOPES, created_at=BEGAN)


@cache
def county() -> County:
    return make_county(1, date(2026, 3, 2))


def take(count: int, began: datetime = BEGAN) -> list[StreamedEvent]:
    stream = EventStream(county(), began)
    return [stream.next_event(began + number * STEP) for number in range(count)]


@cache
def streamed() -> list[StreamedEvent]:
    return take(COUNT)


def share(manner: Manner) -> float:
    return sum(one.manner is manner for one in streamed()) / COUNT


def test_the_same_seed_and_beginning_give_the_same_stream_and_another_beginning_another() -> None:
    assert take(300) == streamed()[:300]
    assert take(1, BEGAN + STEP)[0].event["id"] != streamed()[0].event["id"]


def test_groups_come_in_their_shares() -> None:
    counted = Counter(one.group for one in streamed() if one.manner is Manner.ORDINARY)
    wanted = shares(month=3)
    for group in MIX:
        expected = wanted[group.name] / sum(wanted.values())
        assert counted[group.name] / counted.total() == pytest.approx(expected, abs=0.01), group.name


def test_over_a_year_school_costs_have_their_share_and_they_peak_before_terms() -> None:
    monthly = [shares(month)["schooling"] for month in range(1, 13)]
    assert statistics.mean(monthly) == 5
    assert monthly[1] == monthly[2] == monthly[7] == monthly[8] == max(monthly)
    assert sum(group.share for group in MIX) == 100


def test_duplicates_corrections_refutations_malformed_and_late_ones_come_in_their_shares() -> None:
    ordinary = [one for one in streamed() if one.manner is Manner.ORDINARY]
    assert share(Manner.DUPLICATE) == pytest.approx(0.03, abs=0.005)
    assert share(Manner.CORRECTION) == pytest.approx(0.01, abs=0.003)
    assert share(Manner.REFUTATION) == pytest.approx(0.02, abs=0.004)
    assert share(Manner.MALFORMED) == pytest.approx(0.005, abs=0.002)
    assert sum(one.late for one in ordinary) / len(ordinary) == pytest.approx(0.05, abs=0.006)


def test_late_ones_are_1_to_20_days_late_and_others_occurred_within_the_last_hours() -> None:
    for number, one in enumerate(streamed()):
        if one.manner is Manner.ORDINARY:
            age = BEGAN + number * STEP - datetime.fromisoformat(str(one.event["time"]))
            assert (timedelta(days=1) <= age <= timedelta(days=20, hours=2)) is one.late
            assert timedelta(0) < age


def test_every_event_but_the_malformed_is_taken_at_the_edge() -> None:
    for number, one in enumerate(streamed()):
        if one.manner is not Manner.MALFORMED:
            check_event(decode_json(json.dumps(one.event).encode()), KEY, BEGAN + number * STEP)


def test_every_malformed_event_is_refused_at_the_edge_in_every_way_of_being_wrong() -> None:
    sound = next(one.event for one in streamed() if one.manner is Manner.ORDINARY)
    spoiled = [one.event for one in streamed() if one.manner is Manner.MALFORMED] + [way(sound) for way in WAYS]
    for event in spoiled:
        with pytest.raises(RefusedRequest):
            check_event(decode_json(json.dumps(event).encode()), KEY, BEGAN + timedelta(days=1))


def test_duplicates_repeat_an_earlier_event_and_all_other_ids_are_new_and_in_the_order_of_time() -> None:
    seen: dict[str, object] = {}
    for one in streamed():
        if one.manner is Manner.DUPLICATE:
            assert seen[str(one.event["id"])] == one.event
        else:
            assert str(one.event["id"]) not in seen
        seen[str(one.event["id"])] = one.event
    times = [one.event["id"] for one in streamed() if one.manner is Manner.ORDINARY]
    assert all(str(first)[:13] < str(second)[:13] for first, second in pairwise(times))


def test_corrections_and_refutations_name_an_earlier_event_of_the_same_household() -> None:
    sent: dict[tuple[object, object], Any] = {}
    for one in streamed():
        if one.manner in (Manner.CORRECTION, Manner.REFUTATION):
            payload = one.event["data"]
            assert isinstance(payload, dict)
            about = sent[payload["ref_source"], payload["ref"]]
            assert about["subject"] == one.event["subject"]
            for field in payload.get("payload", {}):
                assert field in about["data"]
        sent[one.event["source"], one.event["id"]] = one.event


def test_hospital_bills_are_log_normal_around_3500_yuan() -> None:
    bills = [float(str(payload["self_pay_yuan"])) for payload in _payloads("health.hospitalisation")]
    assert len(bills) > 2_000
    assert statistics.median(bills) == pytest.approx(3_500, rel=0.06)
    assert statistics.stdev(map(math.log, bills)) == pytest.approx(1.0, abs=0.06)


def test_every_type_of_the_mix_is_in_the_catalogue_and_comes() -> None:
    types = {happening.type for group in MIX for happening in group.happenings}
    assert types <= set(EVENT_TYPES)
    assert types == {_type(one) for one in streamed() if one.manner is Manner.ORDINARY}


def test_no_number_in_the_stream_can_be_an_identity_or_a_telephone_number() -> None:
    assert PERSONAL_NUMBER.search(json.dumps([one.event for one in streamed()])) is None


def test_all_events_are_about_households_and_divisions_of_the_county() -> None:
    homes = {household.household_id: household.division for household in county().households}
    for one in streamed():
        if one.manner is not Manner.MALFORMED:
            assert homes[str(one.event["subject"])] == one.event["division"]


def _type(one: StreamedEvent) -> str:
    return EventMessage.model_validate(one.event).event_type


def _payloads(event_type: str) -> list[dict[str, object]]:
    ordinary = (one for one in streamed() if one.manner is Manner.ORDINARY)
    return [dict(EventMessage.model_validate(one.event).data) for one in ordinary if _type(one) == event_type]
