"""The households of a load: a number is a household, and everything about it follows from the number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from deploy.demo.happenings import REGISTER
from deploy.demo.households import draw_household
from shared.clock import day_of
from shared.events.envelope import EventMessage, wire_type
from shared.events.household_event import SourceClass

KINDS = 40
"""So many different baselines; the households share them out by turns."""
VILLAGE = 250
"""Households of one village: neighbours in number are neighbours in the field."""
ENROLLED_DAYS_AGO = 30
KEY = "swbench"
_VILLAGES_A_TOWNSHIP, _TOWNSHIPS_A_COUNTY = 200, 100


@dataclass(frozen=True, slots=True)
class Load:
    """What a scorer is given. households: of the register; events: on the log.

    among: how many of the households the events are about, spread evenly over all (0 = all). now: the instant at which
    the last of the events is received.
    """

    households: int
    events: int
    among: int = 0
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    @property
    def enrolled_at(self) -> datetime:
        """When the register sent all of its households: at midnight in Shanghai, some weeks ago."""
        day = self.enrolled_on
        return datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=8)

    @property
    def enrolled_on(self) -> date:
        """The day of that."""
        return day_of(self.now) - timedelta(days=ENROLLED_DAYS_AGO)


def digits_of(number: int) -> str:
    """The number as it stands in the household's id, its alias and the ids of its register's events."""
    return f"{number:08d}"


def household_id(number: int) -> str:
    """The household's id; all are of one length."""
    return f"B{digits_of(number)}"


def division_of(number: int) -> str:
    """The code of its village, of an invented province."""
    village = number // VILLAGE
    township, village = divmod(village, _VILLAGES_A_TOWNSHIP)
    county, township = divmod(township, _TOWNSHIPS_A_COUNTY)
    return f"99{1001 + county:04d}{100 + township:03d}{200 + village:03d}"


def kind_of(number: int) -> int:
    """Which of the KINDS it is."""
    return number % KINDS


@lru_cache(maxsize=4 * KINDS)
def register_of(kind: int, enrolled_on: date) -> Mapping[str, Any]:
    """What the register says of the households of a kind, but for the alias.

    Of the draws, only those whose grade does not change by itself soon: days that come are another line's work.
    """
    drawn = draw_household(1, kind, "990101101201", enrolled_on)
    payload = {name: value for name, value in drawn.enrolment.items() if name != "alias"}
    as_of = (enrolled_on.replace(day=1) - timedelta(days=1)).isoformat()
    return payload | {"enrolled_on": enrolled_on.isoformat(), "baseline": {**drawn.baseline, "as_of": as_of}}


def enrolment(number: int, load: Load) -> EventMessage:
    """The event that brought it into the register, as it stood on the log."""
    return EventMessage(
        specversion="1.0",
        id=f"enrol-{digits_of(number)}",
        source=REGISTER.source,
        type=wire_type("registry.enrolled"),
        subject=household_id(number),
        time=load.enrolled_at,
        division=division_of(number),
        sourceclass=SourceClass.DEPARTMENT,
        data={**register_of(kind_of(number), load.enrolled_on), "alias": f"H-{digits_of(number)}"},
        recordedat=load.enrolled_at,
        keyid=KEY,
    )
