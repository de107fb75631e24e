"""What is sent to the whole machine: the usual mix about enrolled households, with grave illnesses of some in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from random import Random

from services.ingest.load.households import SOURCE, Household
from services.ingest.load.mix import Mix
from services.ingest.load.parcels import Parcel
from shared.clock import SHANGHAI
from shared.codec import encode_json
from shared.events.envelope import wire_type
from tests.bench.load.households import VILLAGE, division_of, household_id

GRAVE_YUAN = 60_000


def enrolled(count: int) -> list[Household]:
    """The first households of a load's register."""
    return [Household(household_id(number), division_of(number)) for number in range(count)]


def villages(households: int) -> list[str]:
    """The villages of that many households."""
    return [division_of(number) for number in range(0, households, VILLAGE)]


def usual(households: Sequence[Household], run: str, count: int, *, batch: int = 1) -> list[Parcel]:
    """So many parcels of the usual mix, made beforehand, so that the sending itself stays cheap."""
    mix = Mix(households, run, lambda: datetime.now(UTC))
    return list(islice(mix.one_by_one() if batch == 1 else mix.in_batches(batch), count))


@dataclass(slots=True)
class WithGraveOnes:
    """Ordinary parcels, every so many of them followed by the grave illness of a household that was well.

    told: the parcels of those, with their households.
    """

    ordinary: Iterator[Parcel]
    well: Iterator[Household]
    every: int
    run: str
    told: list[tuple[Household, Parcel]] = field(default_factory=list)

    def parcels(self) -> Iterator[Parcel]:
        """Yield all of them in order."""
        for number, parcel in enumerate(self.ordinary, start=1):
            if number % self.every == 0 and (household := next(self.well, None)) is not None:
                grave = Parcel([_grave(household, f"{self.run}-grave-{number}")])
                self.told.append((household, grave))
                yield grave
            else:
                yield parcel


def shuffled(households: Sequence[Household], run: str) -> list[Household]:
    """The same in an order that spreads them over the villages."""
    found = list(households)
    Random(run).shuffle(found)
    return found


def _grave(household: Household, event_id: str) -> bytes:
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": wire_type("health.major_illness"),
        "subject": household.id,
        "time": datetime.now(SHANGHAI).isoformat(timespec="seconds"),
        "division": household.division,
        "sourceclass": "department",
        "data": {"person": "p1", "self_pay_yuan": GRAVE_YUAN},
    }
    return encode_json(event)
