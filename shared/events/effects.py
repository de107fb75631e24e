"""What an event does to a household: the words in which the catalogue's table is written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Kind(StrEnum):
    """What an amount is."""

    LOSS = "income loss"
    EXPENSE = "expense of the type's cause"
    GAIN = "income gain"
    ASSISTANCE = "income gain that is assistance"
    RELIEF = "claim or relief against a cause"


class Guarantee(Enum):
    """Two worries and three guarantees with drinking water, in the order of reports."""

    FOOD = "food"
    EDUCATION = "education"
    MEDICAL = "medical"
    HOUSING = "housing"
    WATER = "water"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount read from `field` (yuan), times `months_field` where there is one.

    default_yuan stands in for an unknown amount, which is then flagged as imputed; None = the field is required.
    A permanent loss counts until the household has a new baseline, other amounts for the policy's window.
    """

    kind: Kind
    field: str
    default_yuan: int | None = None
    months_field: str | None = None
    default_months: int = 1
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Breach:
    """A guarantee breaks. Not the house: `flag_field` must be true, if named.

    counts_unverified: a household's own word is enough.
    """

    guarantee: Guarantee
    flag_field: str | None = None
    counts_unverified: bool = False


@dataclass(frozen=True, slots=True)
class Housing:
    """The house has the grade in `field`; worsens_only: a better grade than before changes nothing."""

    field: str
    default: str = "none"
    worsens_only: bool = False


@dataclass(frozen=True, slots=True)
class Restore:
    """A guarantee holds again."""

    guarantee: Guarantee


class Structure(Enum):
    """How members and labour change."""

    DISABILITY = "one member's labour changes from labour_from to labour_to"
    DEATH = "one member less, and that member's labour"
    CHANGE = "deltas of members and labour"


class Mark(Enum):
    """What raises a floor or moves a status without any amount."""

    ILLNESS = "someone is ill: counts with a medical breach"
    DEBT = "debt due within 12 months"
    VISIT = "a visit, with its result"
    SELF_REPORT = "the household says it is in hardship"
    CONCERN = "a concern about motivation or mind"
    ASSESSMENT = "a third party names a lowest grade"
    MONITORED = "risk not eliminated, from here"
    RISK_ELIMINATED = "risk eliminated"
    RETURN_CONFIRMED = "return to poverty confirmed"
    LIFTED_AGAIN = "lifted out of poverty again"
    MEASURE_ASSIGNED = "a measure was assigned"
    MEASURE_DELIVERED = "a measure was delivered"
    SURVEY = "a new baseline"


class About(Enum):
    """What an event says about another event."""

    VERIFIED = "verified"
    REFUTED = "refuted"
    CORRECTED = "corrected"


class Register(Enum):
    """What an event does in the register of households."""

    ENROLLED = "enrolled"
    MOVED = "moved"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class RecordOnly:
    """Kept and shown, changes no grade."""


Effect = Money | Breach | Housing | Restore | Structure | Mark | About | Register | RecordOnly
