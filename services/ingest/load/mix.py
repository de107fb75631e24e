"""What a load consists of: the events of an ordinary county, in their proportions and with the faults of real feeds.

Of a hundred: health 45, relief 20, work 10, visits 10, schooling 5, farm 4, home 2, family 2, others 2. Besides, 3 %
are duplicates, 2 % refutations, 1 % corrections, 0.5 % faulty on purpose; of the others 5 % come 1 to 20 days late.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from services.ingest.load.households import SOURCE, Household
from services.ingest.load.parcels import Parcel
from shared.clock import SHANGHAI
from shared.codec import encode_json
from shared.events.catalogue import can_be_disputed
from shared.events.envelope import wire_type

DUPLICATES, REFUTATIONS, CORRECTIONS, FAULTY = 0.03, 0.02, 0.01, 0.005
LATE_SHARE, LATE_DAYS = 0.05, (1, 20)
REMEMBERED = 300
_SPREAD = 0.8


@dataclass(frozen=True, slots=True)
class Row:
    """A type of event with its share in percent. amount: a field in yuan, drawn around its median."""

    type: str
    share: float
    speaker: str = "department"
    payload: Mapping[str, Any] = field(default_factory=dict)
    amount: str = ""
    median: float = 0.0


ROWS: Sequence[Row] = (
    Row("health.hospitalisation", 18, payload={"person": "p1"}, amount="self_pay_yuan", median=3_500),
    Row("health.chronic_outpatient", 15, payload={"months": 6}, amount="monthly_self_pay_yuan", median=120),
    Row("health.major_illness", 2, payload={"person": "p1"}, amount="self_pay_yuan", median=9_000),
    Row("health.accident", 2, amount="self_pay_yuan", median=2_500),
    Row("health.insurance_lapse", 3, payload={"person": "p1"}),
    Row("health.insurance_restored", 5, payload={"person": "p1"}),
    Row("relief.medical_reimbursement", 10, amount="amount_yuan", median=1_800),
    Row("relief.medical_assistance", 5, amount="amount_yuan", median=1_200),
    Row("relief.temporary_assistance", 5, payload={"cause": "illness"}, amount="amount_yuan", median=1_500),
    Row("work.job_loss", 2, payload={"months": 3}, amount="monthly_loss_yuan", median=2_000),
    Row("work.hours_cut", 3, payload={"months": 2}, amount="monthly_loss_yuan", median=500),
    Row("income.job_found", 5, payload={"months": 6}, amount="monthly_yuan", median=1_800),
    Row("survey.visit", 10, "cadre", {"result": "no_change"}),
    Row("edu.cost", 5, payload={"person": "p2", "stage": "college"}, amount="self_pay_yuan", median=4_000),
    Row("farm.crop_loss", 2, "grid", amount="amount_yuan", median=2_000),
    Row("farm.price_slump", 1, amount="amount_yuan", median=1_500),
    Row("income.collective_dividend", 1, amount="amount_yuan", median=800),
    Row("housing.danger", 0.6, payload={"grade": "B"}),
    Row("housing.repaired", 0.4),
    Row("water.failure", 0.5, "grid", {"kind": "supply"}),
    Row("water.restored", 0.5, "grid", {"kind": "supply"}),
    Row("family.member_change", 2, payload={"n_delta": 1}),
    Row("fin.debt", 1, "grid", amount="due_12m_yuan", median=8_000),
    Row("measure.delivered", 1, "cadre", {"measure_code": "M-01"}),
)
ONE_ROW = Row("health.hospitalisation", 100, payload={"person": "p1"}, amount="self_pay_yuan", median=500)


class Mix:
    """Draws events without end.

    run: sets the ids of one run apart from another's. rows: of which types. is_plain: no duplicates, corrections,
    refutations and faults.
    """

    def __init__(
        self,
        households: Sequence[Household],
        run: str,
        now: Callable[[], datetime],
        *,
        rows: Sequence[Row] = ROWS,
        is_plain: bool = False,
    ) -> None:
        self._households = households
        self._run = run
        self._now = now
        self._rows = rows
        self._shares = [row.share for row in rows]
        self._is_plain = is_plain
        self._chance = Random(f"load:{run}")  # noqa: S311  nothing here is a secret
        self._made = 0
        self._sent: deque[tuple[Household, Row, str, bytes]] = deque(maxlen=REMEMBERED)

    def one_by_one(self) -> Iterator[Parcel]:
        """Yield parcels of one event."""
        while True:
            drawn = 1.0 if self._is_plain or not self._sent else self._chance.random()
            if drawn < FAULTY:
                yield Parcel([self._faulty()], is_faulty=True)
            else:
                yield Parcel([self._sound(drawn - FAULTY)])

    def in_batches(self, size: int) -> Iterator[Parcel]:
        """Yield parcels of so many events, none of them faulty."""
        while True:
            drawn = [1.0 if self._is_plain else self._chance.random() for _ in range(size)]
            yield Parcel([self._sound(share) for share in drawn], is_batch=True)

    def _sound(self, drawn: float) -> bytes:
        if self._sent and drawn < DUPLICATES:
            return self._chance.choice(self._sent)[3]
        if self._sent and drawn < DUPLICATES + REFUTATIONS:
            return self._about("event.refuted")
        if self._sent and drawn < DUPLICATES + REFUTATIONS + CORRECTIONS:
            return self._about("event.corrected")
        return self._ordinary()

    def _ordinary(self) -> bytes:
        [row] = self._chance.choices(self._rows, self._shares)
        household = self._chance.choice(self._households)
        payload = dict(row.payload)
        if row.amount:
            payload[row.amount] = self._yuan(row.median)
        late = self._chance.random() < LATE_SHARE and not self._is_plain
        days = self._chance.randint(*LATE_DAYS) if late else 0
        event_id, body = self._event(household, row.type, row.speaker, payload, days=days)
        if can_be_disputed(row.type):
            self._sent.append((household, row, event_id, body))
        return body

    def _about(self, event_type: str) -> bytes:
        """A cadre's word about an earlier event."""
        household, row, event_id, _ = self._chance.choice(self._sent)
        payload: dict[str, Any] = {"ref": event_id, "ref_source": SOURCE}
        if event_type == "event.corrected":
            if not row.amount:
                return self._ordinary()
            payload["payload"] = {row.amount: self._yuan(row.median)}
        return self._event(household, event_type, "cadre", payload)[1]

    def _faulty(self) -> bytes:
        household = self._chance.choice(self._households)
        return self._event(household, "health.hospitalisation", "department", {"self_pay_yuan": -1})[1]

    def _yuan(self, median: float) -> int:
        return max(10, round(self._chance.lognormvariate(math.log(median), _SPREAD) / 10) * 10)

    def _event(
        self, household: Household, event_type: str, speaker: str, payload: Mapping[str, Any], *, days: int = 0
    ) -> tuple[str, bytes]:
        self._made += 1
        event_id = f"{self._run}-{self._made}"
        happened = self._now() - timedelta(days=days, minutes=self._chance.randrange(1, 90))
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": SOURCE,
            "type": wire_type(event_type),
            "subject": household.id,
            "time": happened.astimezone(SHANGHAI).isoformat(timespec="seconds"),
            "division": household.division,
            "sourceclass": speaker,
            "data": payload,
        }
        return event_id, encode_json(event)
