"""Events that come late, in the wrong order, before their household, and with their correction ahead of them (F65)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from deploy.local.red_alert import BASELINE
from shared.clock import SHANGHAI
from tests.chaos.base import Effect
from tests.chaos.faults.promises import must
from tests.chaos.faults.sending import days_ago, reach_ledger
from tests.chaos.field_app import FieldEvent, Kind
from tests.chaos.world import World

HOMES = 16
LATEST_DAYS = 300
MATTERS = (
    ("health.hospitalisation", "self_pay_yuan"),
    ("farm.crop_loss", "amount_yuan"),
    ("edu.cost", "self_pay_yuan"),
    ("work.wage_arrears", "amount_yuan"),
    ("income.wage_recovered", "amount_yuan"),
    ("relief.medical_reimbursement", "amount_yuan"),
)
TO_THE_LINE_FEN = 17_200_00
"""What the household of BASELINE can pay before its income per head is exactly the line; a fen more, and it is red."""


async def out_of_order(world: World, rng: Random) -> Effect:
    """F65: households with a past of ten months that is told in any order."""
    told: list[FieldEvent] = []
    for number in range(HOMES):
        home = f"{world.run}-past-{number:02d}"
        told += _at_the_line(world, rng, home) if number % 4 == 3 else _any_order(world, rng, home)
    for event in told:
        world.load.submit([event])
    ids = [event.id for event in told]
    found = await reach_ledger(world, ids)
    must(found == len(ids), f"{found} of {len(ids)} late and reordered events are in the ledger")
    rewritten = await world.sql(
        """
        SELECT count(*) AS changes FROM grade_transition
        WHERE household_id LIKE :homes AND change -> 'trigger' ->> 'kind' = 'replay'
        """,
        homes=f"{world.run}-past-%",
    )
    seen = (
        f"{found} events of {HOMES} households in any order; {rewritten[0].changes} grades came from a rewritten past"
    )
    return Effect(seen, int(rewritten[0].changes))


def _any_order(world: World, rng: Random, home: str) -> Sequence[FieldEvent]:
    """Enrolment, events, corrections and refutations, shuffled; the last word makes the household red."""
    events = [_matter(world, rng, home) for _ in range(rng.randint(4, 7))]
    small = _said(world, home, "health.hospitalisation", {"self_pay_yuan": "100.00"}, days_ago(20))
    about = [
        _about(world, home, "event.refuted", events[0]),
        _about(world, home, "event.verified", events[1]),
        _about(world, home, "event.corrected", events[2], payload={_amount_of(events[2]): "77.70"}),
    ]
    shuffled = [_enrolment(world, home), *events, *about, small]
    rng.shuffle(shuffled)
    return [*shuffled, _about(world, home, "event.corrected", small, payload={"self_pay_yuan": 60_000})]


def _at_the_line(world: World, rng: Random, home: str) -> Sequence[FieldEvent]:
    """Two bills that leave the household one fen below the line; amounts that a binary fraction cannot hold."""
    first = rng.randrange(100, TO_THE_LINE_FEN)
    while not (_suffers_as_float(first) or _suffers_as_float(TO_THE_LINE_FEN + 1 - first)):
        first = rng.randrange(100, TO_THE_LINE_FEN)
    bills = [first, TO_THE_LINE_FEN + 1 - first]
    paid = [_said(world, home, "health.hospitalisation", {"self_pay_yuan": _yuan(fen)}, days_ago(9)) for fen in bills]
    return [_enrolment(world, home), *paid]


def _suffers_as_float(fen: int) -> bool:
    return int(float(_yuan(fen)) * 100) < fen


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _enrolment(world: World, home: str) -> FieldEvent:
    today = datetime.now(SHANGHAI).date()
    payload: dict[str, Any] = {
        "type": "lifted",
        "monitored": False,
        "enrolled_on": (today - timedelta(days=30)).isoformat(),
        "baseline": {"as_of": (today - timedelta(days=LATEST_DAYS + 10)).isoformat(), **BASELINE},
    }
    return _said(world, home, "registry.enrolled", payload, days_ago(30))


def _matter(world: World, rng: Random, home: str) -> FieldEvent:
    name, amount = rng.choice(MATTERS)
    data = {amount: f"{rng.randint(100, 3_000)}.{rng.randint(0, 99):02d}"}
    return _said(world, home, name, data, days_ago(rng.uniform(1, LATEST_DAYS)))


def _amount_of(event: FieldEvent) -> str:
    return dict(MATTERS)[event.type]


def _about(world: World, home: str, word: str, event: FieldEvent, **more: Any) -> FieldEvent:
    data = {"ref": event.id, "ref_source": event.source, **more}
    return _said(world, home, word, data, days_ago(0), sourceclass="cadre")


def _said(world: World, home: str, name: str, data: dict[str, Any], time: str, **attributes: Any) -> FieldEvent:
    return world.load.make(name, data, home, kind=Kind.REORDERED, time=time, **attributes)
