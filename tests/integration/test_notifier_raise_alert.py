"""Grade changes become alerts: one under way per household, told to the right people, once."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from services.notifier.store.rows import SYSTEM
from shared.alerts import AlertStatus, ChannelName, StepKind
from shared.bus.ports import PartitionBatch, Record
from shared.clock import SettableClock
from shared.db.session import transaction
from shared.db.tables.notifier import alert, alert_message, delivery, notifier_quarantine
from shared.errors import LostOwnership, TemporaryFailure
from tests.fakes.notifier import (
    COUNTY,
    NOW,
    OTHER_VILLAGE,
    PARTITION,
    PROVINCE,
    TOWNSHIP,
    Parts,
    make_change,
    make_person,
    statuses,
)

pytestmark = pytest.mark.integration
RED_TEAM = (
    make_person("cadre-1"),
    make_person("grid-1", "grid"),
    make_person("team-1", "village_team"),
    make_person("town-1", "township", TOWNSHIP),
    make_person("county-1", "county", COUNTY),
)


@pytest.fixture
def clock():
    return SettableClock(NOW)


@pytest.fixture
def parts(engine, clock):
    return Parts(engine, clock)


async def count(engine, table):
    async with transaction(engine) as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def test_a_red_household_has_one_alert_and_five_people_are_told(parts):
    await parts.people(*RED_TEAM, make_person("elsewhere", "cadre", OTHER_VILLAGE))
    await parts.take(make_change("red"))
    found = await parts.alert()
    assert (found.grade, found.status, found.revision, found.unreachable) == ("red", AlertStatus.OPEN, 1, False)
    assert {line.recipient for line in found.deliveries} == {person.staff_id for person in RED_TEAM}
    assert found.acknowledge_by == NOW + timedelta(hours=2)
    assert [step.step for step in found.plan][:3] == ["alert", "acknowledge", "visit"]
    assert parts.woken == 1
    assert parts.metric("alerts_opened_total", grade="red") == 1
    assert parts.metric("decisions_total", reason="opened_worse") == 1


async def test_a_change_delivered_three_times_has_one_effect(parts):
    await parts.people(*RED_TEAM)
    change = make_change("red")
    await parts.take(change, change)
    await parts.take(change)
    assert len(await parts.alerts()) == 1
    assert await count(parts.engine, delivery) == len(RED_TEAM)
    assert await count(parts.engine, alert_message) == 1
    assert parts.metric("decisions_total", reason="old_version") == 2


async def test_redelivery_after_people_have_closed_the_alert_opens_no_second_one(parts):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("red"))
    async with transaction(parts.engine) as connection:
        await connection.execute(text("UPDATE alert SET status = 'resolved'"))
    await parts.take(make_change("red"))
    assert len(await parts.alerts()) == 1


async def test_two_handlers_of_one_partition_cannot_both_write(parts):
    await parts.people(*RED_TEAM)
    stale = await parts.handler.claim(PARTITION)
    await parts.take(make_change("red"), handler=parts.new_handler("two"))
    batch = PartitionBatch(PARTITION, stale, [parts.record(make_change("orange", household_id="H-2"))])
    with pytest.raises(LostOwnership):
        await parts.handler.handle(batch)
    assert len(await parts.alerts()) == 1


async def test_handlers_that_run_at_once_under_other_groups_open_one_alert(parts):
    """Even a notifier started under a wrong group name cannot open a second alert for a household."""
    await parts.people(*RED_TEAM)
    handlers = [parts.new_handler(f"h{number}", group=f"group-{number}") for number in range(4)]
    claims = [await handler.claim(PARTITION) for handler in handlers]
    batches = [PartitionBatch(PARTITION, claim, [parts.record(make_change("red"))]) for claim in claims]
    outcomes = await asyncio.gather(
        *(handler.handle(batch) for handler, batch in zip(handlers, batches, strict=True)), return_exceptions=True
    )
    assert all(outcome is None or isinstance(outcome, TemporaryFailure) for outcome in outcomes)
    assert len(await parts.alerts()) == 1
    assert await count(parts.engine, delivery) == len(RED_TEAM)


async def test_the_database_itself_refuses_a_second_open_alert(parts):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("red"))
    copy = 'INSERT INTO alert SELECT (jsonb_populate_record(alert, \'{"alert_id": "second"}\')).* FROM alert'
    with pytest.raises(Exception, match="uq_alert_under_way"):
        async with transaction(parts.engine) as connection:
            await connection.execute(text(copy))


async def test_a_worse_grade_is_told_again_and_an_improvement_is_only_noted(parts, clock):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("yellow"))
    clock.move(timedelta(days=1))
    await parts.take(make_change("red", "yellow", version=2))
    worse = await parts.alert()
    assert (worse.grade, worse.revision) == ("red", 2)
    assert worse.acknowledge_by == NOW + timedelta(days=1, hours=2)
    assert {line.status for line in worse.deliveries if line.revision == 1} == {"suppressed"}
    assert len(statuses(worse)) == len(RED_TEAM)

    await parts.take(make_change("orange", "red", version=3))
    better = await parts.alert()
    assert (better.grade, better.revision, better.status) == ("orange", 2, AlertStatus.OPEN)
    assert len(better.deliveries) == len(worse.deliveries)
    detail = await parts.reader.one("", better.id)
    assert [step.kind for step in detail.timeline] == [StepKind.OPENED, StepKind.WORSENED, StepKind.IMPROVED]
    assert {step.actor for step in detail.timeline} == {SYSTEM}


async def test_the_alert_of_a_household_that_moved_is_seen_where_it_lives_now(parts):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("red"))
    await parts.take(make_change("red", "red", version=2, division=OTHER_VILLAGE))
    assert (await parts.alert()).division == OTHER_VILLAGE
    assert len(await parts.alerts()) == 1


async def test_back_at_green_the_alert_stays_with_people_and_shows_the_present_grade(parts):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("red"))
    await parts.take(make_change("green", "red", version=2, causes=()))
    found = await parts.alert()
    assert (found.grade, found.status, found.reasons) == ("green", AlertStatus.OPEN, ())


async def test_refuted_evidence_withdraws_the_alert_and_tells_those_who_were_told(parts):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("red"))
    async with transaction(parts.engine) as connection:
        await connection.execute(
            text("UPDATE delivery SET status = 'sent', attempts = 1 WHERE staff_id IN ('cadre-1', 'county-1')")
        )
        await connection.execute(text("UPDATE delivery SET attempts = 1 WHERE staff_id = 'grid-1'"))
    await parts.take(make_change("green", "red", version=2, kind="replay", causes=()))
    found = await parts.alert()
    assert (found.status, found.grade, found.revision) == (AlertStatus.WITHDRAWN, "green", 2)
    # town-1 and team-1 had not been tried yet: they never hear of it.
    assert {line.recipient for line in found.deliveries if line.revision == 2} == {"cadre-1", "county-1", "grid-1"}
    assert {line.reason for line in found.deliveries if line.revision == 2} == {"withdrawn"}
    first = {line.recipient: line.status for line in found.deliveries if line.revision == 1}
    assert first["town-1"] == first["team-1"] == "suppressed"


@pytest.mark.parametrize("status", ["open", "acknowledged", "visited"])
async def test_closing_a_household_ends_its_alert_whoever_holds_it_and_tells_those_who_were_told(parts, status):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("red"))
    async with transaction(parts.engine) as connection:
        await connection.execute(
            text("UPDATE delivery SET status = 'sent', attempts = 1 WHERE staff_id IN ('cadre-1', 'county-1')")
        )
        await connection.execute(text("UPDATE alert SET status = :status"), {"status": status})
    closing = make_change("green", "red", version=2, closed=True, causes=())
    await parts.take(closing, closing)
    found = await parts.alert()
    assert (found.status, found.revision) == (AlertStatus.WITHDRAWN, 2)
    assert {line.recipient for line in found.deliveries if line.revision == 2} == {"cadre-1", "county-1"}
    assert {line.reason for line in found.deliveries if line.revision == 2} == {"household_closed"}
    detail = await parts.reader.one("", found.id)
    assert (detail.timeline[-1].kind, detail.timeline[-1].reason) == (StepKind.WITHDRAWN, "household_closed")
    await parts.take(make_change("red", None, version=3))
    assert sorted(str(one.status) for one in await parts.alerts()) == ["open", "withdrawn"]


async def test_corrected_evidence_is_told_to_those_who_were_told_and_sets_the_times_of_the_milder_grade(parts, clock):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("red"))
    async with transaction(parts.engine) as connection:
        told = "staff_id IN ('cadre-1', 'county-1')"
        await connection.execute(text(f"UPDATE delivery SET status = 'sent', attempts = 1 WHERE {told}"))
    clock.move(timedelta(hours=1))
    await parts.take(make_change("yellow", "red", version=2, kind="replay", event_type="event.corrected"))
    found = await parts.alert()
    assert (found.status, found.grade, found.revision) == (AlertStatus.OPEN, "yellow", 2)
    assert (found.acknowledge_by, found.visit_by) == (None, NOW + timedelta(days=7))
    assert [step.step for step in found.plan] == ["visit"]
    # grid-1 hears of a yellow household too, and had not heard yet; town-1 and team-1 never do.
    second = {line.recipient: line.routed_as for line in found.deliveries if line.revision == 2}
    assert second == {"cadre-1": "told_before", "county-1": "told_before", "grid-1": "role"}
    assert {line.reason for line in found.deliveries if line.revision == 2} == {"corrected"}
    first = {line.recipient: line.status for line in found.deliveries if line.revision == 1}
    assert first == dict.fromkeys(("cadre-1", "county-1"), "sent") | dict.fromkeys(
        ("grid-1", "team-1", "town-1"), "suppressed"
    )
    detail = await parts.reader.one("", found.id)
    assert (detail.timeline[-1].kind, detail.timeline[-1].reason) == (StepKind.CORRECTED, "corrected")
    clock.move(timedelta(hours=30))
    assert await parts.new_climber().fire_due() == 0, "the times of the graver grade do not hold any more"


async def test_who_took_an_alert_on_hears_that_its_evidence_was_not_so_and_closes_it(parts):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("red"))
    async with transaction(parts.engine) as connection:
        await connection.execute(text("UPDATE delivery SET status = 'sent', attempts = 1"))
        await connection.execute(text("UPDATE alert SET status = 'acknowledged', owner = 'cadre-1'"))
    await parts.take(make_change("green", "red", version=2, kind="replay", event_type="event.refuted", causes=()))
    found = await parts.alert()
    assert (found.status, found.owner, found.grade) == (AlertStatus.ACKNOWLEDGED, "cadre-1", "green")
    told = {line.recipient for line in found.deliveries if line.reason == "corrected"}
    assert told == {person.staff_id for person in RED_TEAM}
    assert not found.unreachable


async def test_an_alert_opened_and_refuted_in_one_batch_tells_nobody(parts):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("red"), make_change("green", "red", version=2, kind="replay", causes=()))
    found = await parts.alert()
    assert found.status is AlertStatus.WITHDRAWN
    assert {line.status for line in found.deliveries} == {"suppressed"}


async def test_after_a_withdrawal_new_evidence_opens_a_new_alert(parts):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("red"))
    await parts.take(make_change("green", "red", version=2, kind="replay"))
    await parts.take(make_change("orange", "green", version=3))
    assert sorted(str(found.status) for found in await parts.alerts()) == ["open", "withdrawn"]


async def test_several_changes_of_a_household_in_one_batch_are_taken_in_order(parts):
    await parts.people(*RED_TEAM)
    await parts.take(
        make_change("yellow"), make_change("orange", "yellow", version=2), make_change("red", "orange", version=3)
    )
    found = await parts.alert()
    assert (found.grade, found.revision) == ("red", 3)
    assert {line.revision for line in found.deliveries if line.status == "pending"} == {3}


async def test_without_anybody_in_the_village_the_township_then_the_duty_officer_hear(parts):
    await parts.people(make_person("town-1", "township", TOWNSHIP), make_person("duty", "duty_officer", PROVINCE))
    await parts.take(make_change("yellow"), make_change("yellow", household_id="H-2", division=OTHER_VILLAGE))
    routed = {
        found.household_id: [(line.recipient, line.routed_as) for line in found.deliveries]
        for found in await parts.alerts()
    }
    assert routed == {"H-1024": [("town-1", "township_stands_in")], "H-2": [("duty", "duty_officer")]}


async def test_an_alert_that_nobody_can_be_told_of_is_flagged_and_counted(parts):
    await parts.people(make_person("gone", active=False))
    await parts.take(make_change("red"))
    found = await parts.alert()
    assert found.unreachable
    assert found.deliveries == ()
    assert parts.metric("unreachable_alerts_total") == 1


async def test_a_division_that_no_register_knows_is_routed_from_its_nearest_known_ancestor(parts):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("orange", division="990100101299"))
    found = await parts.alert()
    assert set(statuses(found)) == {("town-1", ChannelName.SMTP)}
    async with transaction(parts.engine) as connection:
        subject = (await connection.execute(select(alert_message.c.subject))).scalar_one()
    assert "一号乡" in subject


async def test_records_that_cannot_be_read_go_to_quarantine_and_their_neighbours_pass(parts):
    await parts.people(*RED_TEAM)
    claim = await parts.handler.claim(PARTITION)
    good = parts.record(make_change("red"))
    bad = [b"not json", None, b"{}", b'{"data": 1}', good.value.replace(b'"red"', b'"crimson"')]
    records = [Record(next(parts.offsets), b"H-1024", value, 0) for value in bad]
    records.append(Record(next(parts.offsets), b"somebody-else", good.value, 0))
    records.append(Record(next(parts.offsets), b"H-1024", good.value, 0))
    await parts.handler.handle(PartitionBatch(PARTITION, claim, records))
    assert len(await parts.alerts()) == 1
    assert await count(parts.engine, notifier_quarantine) == 6
    assert (await parts.handler.claim(PARTITION)).next_offset == records[-1].offset + 1


async def test_the_position_moves_with_the_alert_or_not_at_all(parts):
    await parts.people(*RED_TEAM)
    await parts.take(make_change("red"))
    claim = await parts.handler.claim(PARTITION)
    assert claim.next_offset == 1
    async with transaction(parts.engine) as connection:
        await connection.execute(
            text("ALTER TABLE delivery ADD CONSTRAINT broken CHECK (staff_id <> 'cadre-1') NOT VALID")
        )
    with pytest.raises(Exception, match="broken"):
        await parts.handler.handle(
            PartitionBatch(PARTITION, claim, [parts.record(make_change("red", household_id="H-2"))])
        )
    assert (await parts.handler.claim(PARTITION)).next_offset == 1
    assert await count(parts.engine, alert) == 1
