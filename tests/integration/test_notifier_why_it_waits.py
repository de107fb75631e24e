"""Whatever keeps a telling from its person has a code that `why` tells: each way to wait, made by the real parts."""

from datetime import datetime, timedelta

import pytest

from services.notifier.core.reasons import Outcome
from services.notifier.core.retries import Attempt
from services.notifier.core.silencing import NewSilence
from services.notifier.store.rows import Contact
from services.notifier.store.silences import Silences
from services.notifier.store.why import WhyReader
from services.notifier.why import explain
from shared.alerts import ChannelName
from shared.clock import SHANGHAI, SettableClock, to_rfc3339
from shared.grades import RiskGrade
from shared.policy import MessagesPerPerson
from tests.fakes.notifier import VILLAGE, Parts, deliver_all, make_change, make_person, policies_of
from tests.fakes.vendors import ROBOT_SECRET, TOKEN

pytestmark = pytest.mark.integration
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=SHANGHAI)
NIGHT = datetime(2026, 3, 2, 23, 0, tzinfo=SHANGHAI)
MORNING = datetime(2026, 3, 3, 7, 0, tzinfo=SHANGHAI)
MINUTE = timedelta(minutes=1)


class Played:
    """A channel that answers as it is told to."""

    def __init__(self, name, answer):
        self.name, self.answer = name, answer

    async def send(self, address, message, message_id):
        return self.answer

    async def close(self):
        pass


TAKEN = Attempt("sent", receipt="taken")


class Way:
    """One way to wait: `make` lets household H wait so and returns until when, None if nobody knows."""

    def __init__(self, engine, at=NOON, **rules):
        self.clock = SettableClock(at)
        self.parts = Parts(engine, self.clock, policies=policies_of(**rules))

    def lane(self, answer=TAKEN, channel=ChannelName.SMTP):
        return self.parts.lane(Played(channel, answer))

    async def take(self, *households, grade="red"):
        await self.parts.take(*(make_change(grade, household_id=one) for one in households))


async def quiet_hours(engine):
    way = Way(engine, NIGHT)
    await way.parts.people(make_person("cadre"))
    await way.take("H", grade="yellow")
    return way, MORNING


async def daily_cap(engine):
    way = Way(engine, messages_a_day_per_person_and_household=2)
    await way.parts.people(make_person("cadre"))
    await way.take("H", grade="yellow")
    await deliver_all(way.lane())
    await way.parts.take(make_change("yellow", "yellow", household_id="H", version=2, causes=("disaster",)))
    return way, None


async def silenced(engine):
    way = Way(engine)
    await way.parts.people(make_person("cadre"))
    now, grades = way.clock.now(), frozenset({RiskGrade.RED})
    await Silences(engine).add(NewSilence(VILLAGE, None, grades, "town", "drill", now, now + 60 * MINUTE))
    await way.take("H")
    return way, None


async def message_budget(engine):
    way = Way(engine, messages_per_person=MessagesPerPerson(most=1))
    await way.parts.people(make_person("cadre"))
    lane = way.lane()
    await way.take("other")
    await deliver_all(lane)
    await way.take("H")
    assert await deliver_all(lane) == 0
    return way, way.clock.now() + 10 * MINUTE


async def in_digest(engine):
    way = Way(engine)
    await way.parts.people(make_person("cadre"))
    await way.take("other", "H")
    now = way.clock.now()
    (due,) = await way.parts.claims.claim(ChannelName.SMTP, "dies", now=now, lease=MINUTE, most=8, busy=[])
    assert len(due.lines) == 2
    return way, None


async def receiver_limit(engine):
    """Two people read one group. It asked for a pause when the first was told."""
    way = Way(engine)
    group = Contact(ChannelName.DINGTALK, TOKEN, ROBOT_SECRET)
    await way.parts.people(make_person("before", "grid", email=None, contacts=(group,)))
    lane = way.lane(Attempt("code_130101", pauses_target=True, retry_after_seconds=60), ChannelName.DINGTALK)
    await way.take("other")
    assert await deliver_all(lane) == 1
    await way.parts.people(make_person("cadre", email=None, contacts=(group,)))
    await way.take("H")
    assert await deliver_all(lane) == 0
    return way, way.clock.now() + MINUTE


async def tried_again(engine):
    way = Way(engine)
    await way.parts.people(make_person("cadre"))
    await way.take("H")
    await deliver_all(way.lane(Attempt("connection_refused")))
    return way, None


@pytest.mark.parametrize(
    "made", [quiet_hours, daily_cap, silenced, message_budget, in_digest, receiver_limit, tried_again]
)
async def test_each_way_to_wait_has_its_code(engine, made):
    way, until = await made(engine)
    (found,) = await way.parts.alerts(household_id="H")
    why = await WhyReader(engine).why("", found.id)
    (person,) = [one for one in why.revisions[-1].people if one.staff_id == "cadre"]
    first = next(step for step in person.steps if step.outcome is not Outcome.PASSED)
    assert (first.code, first.until) == (made.__name__, until)
    said = f"{first.code} by {first.channel}" if first.channel else str(first.code)
    said += f" until {to_rfc3339(until)}" if until else ""
    assert said in "\n".join(explain(why))


@pytest.mark.parametrize("made", [message_budget, in_digest, receiver_limit])
async def test_what_was_sent_after_all_waits_for_nothing_any_more(engine, made):
    way, _ = await made(engine)
    way.clock.move(11 * MINUTE)
    channel = ChannelName.DINGTALK if made is receiver_limit else ChannelName.SMTP
    await deliver_all(way.lane(channel=channel))
    (found,) = await way.parts.alerts(household_id="H")
    (last,) = (await WhyReader(engine).why("", found.id)).revisions
    (person,) = [one for one in last.people if one.staff_id == "cadre"]
    assert {step.outcome for step in person.steps} == {Outcome.PASSED}
    assert ("in_digest" in {step.code for step in person.steps}) is (made is in_digest)
    assert person.deliveries[0].waits is None
