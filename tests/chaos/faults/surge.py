"""Many households turn red in the same moment while webhooks are throttled (F56), with the message budget in force.

What is looked at: each alert is named in a message that was taken, in time; nobody gets more messages than the budget
allows; and no milder alert leaves before a red one. 500 households instead of 5,000, which this machine would need an
hour for.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from random import Random

from deploy.local.red_alert import red_alert_events
from deploy.local.unpaced import write_policies_for_every_hour
from shared.clock import SHANGHAI
from shared.grades import RiskGrade
from shared.policy import default_policies
from tests.chaos.base import Effect
from tests.chaos.faults.promises import must
from tests.chaos.faults.telling import Told, forget_turns, people_again, restart_notifiers
from tests.chaos.faults.watch import comes_true
from tests.chaos.field_app import FieldEvent, Form, Kind
from tests.chaos.journal import read_journal
from tests.chaos.people import VILLAGES
from tests.chaos.service_settings import POLICIES_VARIABLE
from tests.chaos.world import World

HOUSEHOLDS = 500
AT_ONCE = 100
THROTTLE = "throttle:20"
WITHIN_SECONDS = 60.0
# The third message of a storm leaves 70 s after its first; then all of it has been told.
TOLD_WITHIN_SECONDS = 90.0
HEARD_WITHIN_SECONDS = WITHIN_SECONDS + TOLD_WITHIN_SECONDS
"""Of the other households that turn red meanwhile: who has had his messages for the storm hears of them afterwards."""
CLEARLY_SECONDS = 2.0
ENROLMENT, ILLNESS = 0, 1


async def surge(world: World, rng: Random) -> Effect:
    """F56."""
    homes = [(f"{world.run}-surge-{number:04d}", VILLAGES[number % len(VILLAGES)]) for number in range(HOUSEHOLDS)]
    _submit(world, [_event(world, home, division, ENROLMENT) for home, division in homes])
    await comes_true(lambda: _graded(world, RiskGrade.GREEN), WITHIN_SECONDS)
    policies = write_policies_for_every_hour(world.directory / "policies-for-every-hour")
    await restart_notifiers(world, **{POLICIES_VARIABLE: str(policies)})
    world.devices.webhook_mode = THROTTLE
    await forget_turns(world)
    # What was under way before belongs to nobody's new budget.
    await asyncio.sleep(1.0)
    told, begin = Told(world), len(read_journal(world.devices.journal.path))
    _submit(world, [_event(world, home, division, ILLNESS) for home, division in homes])
    await comes_true(lambda: _graded(world, RiskGrade.RED), WITHIN_SECONDS)
    await comes_true(lambda: _all_told(world), TOLD_WITHIN_SECONDS)
    throttled, overtaken = told.count("webhook", "refused"), await _overtaken(world, told)
    must(overtaken == 0, f"{overtaken} milder alerts overtook a red one that was waiting for its mail")
    most = max(_messages(world, begin).values(), default=0)
    budget = default_policies().versions[-1].delivery.messages_per_person.most
    must(most <= budget, f"somebody got {most} messages, and {budget} is the most")
    slowest, reds, named = await told.slowest("smtp"), await _reds(world), _named(world, begin)
    must(named == HOUSEHOLDS, f"only {named} of {HOUSEHOLDS} households are named in what people have")
    # Under the shipped budget, what happens in the minutes after a storm is told at the end of the window.
    await restart_notifiers(world)
    await forget_turns(world)
    await people_again(world)
    seen = f"{reds} of {HOUSEHOLDS} red at once, told in at most {most} messages to anybody, {throttled} throttled"
    return Effect(f"{seen}; the slowest mail took {slowest:.1f} s, no milder one overtook a red one", reds)


def _event(world: World, home: str, division: str, place: int) -> FieldEvent:
    """The enrolment of a household, or its illness after it."""
    given = red_alert_events(home, datetime.now(SHANGHAI).date(), division)[place]
    payload, name = given["data"], str(given["type"]).removeprefix("cn.shouwang.").removesuffix(".v1")
    assert isinstance(payload, dict)
    attributes = {name: given[name] for name in ("division", "sourceclass", "time")}
    return world.load.make(
        name, payload, home, kind=Kind.SERIOUS if place else Kind.NORMAL, serious=bool(place), **attributes
    )


def _submit(world: World, events: Sequence[FieldEvent]) -> None:
    for start in range(0, len(events), AT_ONCE):
        world.load.submit(events[start : start + AT_ONCE], Form.JSON_BATCH)


def _messages(world: World, begin: int) -> Mapping[str, int]:
    """How many different messages each person has taken since a place in the devices' journal."""
    taken = {
        (line["staff"], line["message_id"])
        for line in read_journal(world.devices.journal.path)[begin:]
        if line["outcome"] == "taken"
    }
    people = [staff for staff, _ in taken]
    return {staff: people.count(staff) for staff in people}


def _named(world: World, begin: int) -> int:
    """How many households of the surge some message names that somebody has."""
    ours, found = f"{world.run}-surge-", set()
    for line in read_journal(world.devices.journal.path)[begin:]:
        if line["outcome"] == "taken":
            found |= {line["household"], *(home for _, home in line["alerts"])}
    return sum(home is not None and home.startswith(ours) for home in found)


async def _graded(world: World, grade: RiskGrade) -> bool:
    rows = await world.sql(
        "SELECT count(*) AS graded FROM household_state WHERE household_id LIKE :homes AND grade = :grade",
        homes=f"{world.run}-surge-%",
        grade=int(grade),
    )
    return bool(rows[0].graded == HOUSEHOLDS)


async def _all_told(world: World) -> bool:
    """Whether each household of the surge has a message that was taken."""
    rows = await world.sql(
        """
        SELECT count(DISTINCT a.household_id) AS told FROM alert a JOIN delivery d USING (alert_id)
        WHERE a.household_id LIKE :homes AND d.status = 'sent'
        """,
        homes=f"{world.run}-surge-%",
    )
    return bool(rows[0].told == HOUSEHOLDS)


async def _reds(world: World) -> int:
    rows = await world.sql(
        "SELECT count(*) AS reds FROM household_state WHERE household_id LIKE :homes AND grade = 4",
        homes=f"{world.run}-surge-%",
    )
    return int(rows[0].reds)


async def _overtaken(world: World, told: Told) -> int:
    """Count the mails of milder alerts that a person was sent before a red one that had been waiting clearly longer."""
    rows = await world.sql(
        """
        WITH mail AS (
            SELECT staff_id, grade, created_at, sent_at FROM delivery
            WHERE channel = 'smtp' AND status = 'sent' AND attempts = 1 AND created_at >= :since
        )
        SELECT count(*) AS overtaken FROM mail AS milder WHERE grade < 4 AND EXISTS (
            SELECT 1 FROM mail AS red WHERE red.grade = 4 AND red.staff_id = milder.staff_id
              AND red.created_at < milder.created_at - make_interval(secs => :slack)
              AND red.sent_at > milder.sent_at + make_interval(secs => :slack)
        )
        """,
        since=told.since,
        slack=CLEARLY_SECONDS,
    )
    return int(rows[0].overtaken)
