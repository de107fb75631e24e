"""Thousands of households turn red within a minute: everybody hears of each, and nobody's phone is drowned."""

from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import select

from services.notifier.console.queries import PAGE, ConsoleQueries, Place
from services.notifier.core.duty import Absence, Duty
from services.notifier.store.rosters import DutyRow, Rosters
from shared.alerts import ChannelName
from shared.clock import day_of
from shared.db.session import transaction
from shared.db.tables.notifier import alert, delivery, digest
from shared.policy import default_policies
from tests.fakes.notifier import COUNTY
from tests.notifier_storm import LARGE, MODERATE, storm

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
BUDGET = default_policies().versions[-1].delivery.messages_per_person
WINDOW = timedelta(minutes=BUDGET.within_minutes)
IN_TIME = timedelta(seconds=60)


@pytest.fixture
async def at_its_end(engine):
    """A storm, told over half an hour by two replicas."""
    async with storm(engine, MODERATE, NOW) as made:
        lanes = [*made.lanes("replica-1"), *made.lanes("replica-2")]
        await made.break_loose(lanes)
        await made.pass_time(lanes, timedelta(seconds=80))
        await made.pass_time(lanes, timedelta(minutes=28), timedelta(seconds=15))
        yield made


async def rows_of(engine):
    statement = select(delivery, alert.c.household_id, alert.c.opened_at).join(
        alert, alert.c.alert_id == delivery.c.alert_id
    )
    async with transaction(engine) as connection:
        return (await connection.execute(statement)).all()


def most_in_a_window(times):
    return max(sum(end - WINDOW < at <= end for at in times) for end in times)


def assert_each_is_named_in_one_message(made, rows):
    """Each delivery is named, as new, in exactly one message to its person by its channel, and nothing else is."""
    named = [
        (one.staff_id, one.channel, alert.alert_id)
        for one in made.received
        for alert in one.said.alerts
        if alert.is_new
    ]
    expected = [(row.staff_id, row.channel, row.alert_id) for row in rows if row.channel in ("smtp", "webhook")]
    assert sorted(named) == sorted(expected)


def assert_each_red_is_heard_in_time(made, rows):
    """Somebody's message names each red alert within a minute; chat groups are not even counted."""
    heard = {}
    for one in made.received:
        for alert_named in one.said.alerts:
            heard.setdefault(alert_named.alert_id, one.at)
    reds = {row.alert_id: row.opened_at for row in rows if row.grade == 4}
    late = {
        alert_id: heard[alert_id] - opened for alert_id, opened in reds.items() if heard[alert_id] - opened > IN_TIME
    }
    assert reds and not late


async def test_a_storm_is_told_whole_in_time_worst_first_and_in_few_messages(engine, at_its_end):
    made, rows = at_its_end, await rows_of(engine)
    assert {row.status for row in rows} == {"sent"}
    assert len({row.alert_id for row in rows}) == MODERATE.reds + MODERATE.milder

    # Nobody gets more than the budget allows in any ten minutes.
    messages = made.messages_of()
    assert all(most_in_a_window(times) <= BUDGET.most for times in messages.values()), messages
    assert sum(map(len, messages.values())) < len(rows) / 20

    assert_each_is_named_in_one_message(made, rows)
    # Of one red and one milder alert that a person had both to hear of at that time, the red one never came later.
    assert_each_red_is_heard_in_time(made, rows)
    assert all(_worst_first(one.said, {row.alert_id: row.grade for row in rows}) for one in made.received)
    assert made.parts.metric("digests_total", channel="smtp") > 0
    assert made.parts.metric("digest_alerts_total", channel="webhook") > made.parts.metric(
        "digests_total", channel="webhook"
    )


def _worst_first(said, grades):
    """Within a message, each grade's alerts come before those of a milder one."""
    order = [grades[one.alert_id] for one in said.alerts]
    return order == sorted(order, reverse=True)


async def test_ten_thousand_red_households_in_a_minute_are_each_told_to_those_on_duty_within_a_minute(engine):
    """For 50 people, of whom two have no duty and one is away."""
    async with storm(engine, LARGE, NOW) as made:
        away, resting = "cadre-0", {"county-3", "county-4"}
        today, rosters = day_of(NOW), Rosters(engine)
        on_duty = [f"county-{number}" for number in range(LARGE.county) if f"county-{number}" not in resting]
        lines = [Duty(who, "county", COUNTY, today, today, time(), time()) for who in on_duty]
        await rosters.save_duties([DutyRow(line) for line in lines])
        await rosters.add_absence(Absence(away, NOW, NOW + timedelta(days=1)))
        lanes = [*made.lanes("replica-1"), *made.lanes("replica-2")]
        await made.break_loose(lanes)
        await made.pass_time(lanes, timedelta(seconds=80))
        await made.pass_time(lanes, timedelta(minutes=12), timedelta(seconds=15))
        rows = await rows_of(engine)
        assert len({row.alert_id for row in rows}) == LARGE.reds
        assert {row.status for row in rows} == {"sent"}
        people = LARGE.county + LARGE.townships + len(LARGE.villages)
        assert people == 50
        assert len({row.staff_id for row in rows}) == people - len({away, *resting})
        assert not {row.staff_id for row in rows} & {away, *resting}
        messages = made.messages_of()
        assert all(most_in_a_window(times) <= BUDGET.most for times in messages.values())
        assert_each_is_named_in_one_message(made, rows)
        assert_each_red_is_heard_in_time(made, rows)
        await assert_groups_are_told_of_all(made, engine, rows)


async def assert_groups_are_told_of_all(made, engine, rows):
    """Each alert for a chat group is told by itself, or stands on the page of a digest that the group was sent."""
    async with transaction(engine) as connection:
        digests = (await connection.execute(select(digest).where(digest.c.channel == "wecom_robot"))).all()
    texts = "\n".join(made.vendor.texts)
    for one in digests:
        assert texts.count(f"/digests/{one.digest_id}") == 1
        told = {row.alert_id for row in rows if row.digest_id == one.digest_id}
        assert await _listed(engine, one.digest_id) == told | set(one.earlier)
    alone = [row for row in rows if row.channel == ChannelName.WECOM_ROBOT and row.digest_id is None]
    assert len(made.vendor.texts) == len(digests) + len(alone)


async def test_a_chat_group_is_told_how_many_and_the_page_behind_its_link_lists_exactly_these(engine, at_its_end):
    rows = [row for row in await rows_of(engine) if row.channel == ChannelName.WECOM_ROBOT]
    async with transaction(engine) as connection:
        digests = (await connection.execute(select(digest).where(digest.c.channel == "wecom_robot"))).all()
    assert digests
    for one in digests:
        assert len(one.brief.encode()) <= 2_048
        assert one.brief.endswith(f"/digests/{one.digest_id}")
        told = {row.alert_id for row in rows if row.digest_id == one.digest_id}
        assert f"{len(told)}户" in one.brief or len({row.grade for row in rows if row.digest_id == one.digest_id}) > 1
        assert await _listed(engine, one.digest_id) == told | set(one.earlier)
    alone = {row.delivery_id for row in rows if row.digest_id is None}
    assert len(at_its_end.vendor.texts) == len(digests) + len(alone)


async def _listed(engine, digest_id):
    queries, listed, after = ConsoleQueries(engine), [], None
    while True:
        page, _ = await queries.digest_alerts("", digest_id, after)
        listed += [row.alert_id for row in page.rows]
        if not page.more:
            assert len(listed) == sum(page.counts.values())
            return set(listed)
        assert len(page.rows) == PAGE
        last = page.rows[-1]
        after = Place(int(last.grade), last.opened_at, last.alert_id)


@pytest.mark.parametrize("seed", [1, 2])
async def test_kills_between_any_two_steps_lose_nothing_and_double_nothing(engine, seed):
    """Of each few processes one dies: after leasing, or after the channel has taken the message."""
    async with storm(engine, MODERATE.__class__(reds=200, milder=20, people=10, waves=10), NOW) as made:
        lease = timedelta(seconds=made.parts.settings.lease_seconds)

        async def lost(*_):
            return False

        for number, wave in enumerate(made.changes()):
            await made.parts.take(*wave)
            lanes = made.lanes(f"process-{number}")
            match (number + seed) % 3:
                case 0:
                    for lane in lanes:
                        await made.parts.claims.claim(
                            lane.name, "dead", now=made.clock.now(), lease=lease, most=8, busy=[]
                        )
                case 1:
                    for lane in lanes:
                        lane._sent.store = lost
            await made.send(lanes)
            made.clock.move(timedelta(seconds=12))
        lanes = made.lanes("last")
        await made.pass_time(lanes, timedelta(minutes=25), timedelta(seconds=20))
        rows = await rows_of(engine)
        assert {row.status for row in rows} == {"sent"}
        contents = {}
        for one in made.received:
            assert contents.setdefault((one.staff_id, one.message_id), one.content) == one.content
        assert len(contents) < len(made.received), "somebody died after sending"
        named = {
            (one.staff_id, one.channel, alert.alert_id, one.message_id)
            for one in made.received
            for alert in one.said.alerts
            if alert.is_new
        }
        told = [(row.staff_id, row.channel, row.alert_id) for row in rows if row.channel in ("smtp", "webhook")]
        assert sorted(one[:3] for one in named) == sorted(told)
