"""What a fault is, for those that inject it and for the campaign that runs it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from tests.chaos.world import World

RunName = NewType("RunName", str)
"""Short id of one run of one fault; the ids of its households begin with it and a dash."""

Inject = Callable[["World", Random], Awaitable["Effect"]]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a bystander could see of a fault; a count of 0 fails the run, because then nothing was tested."""

    seen: str
    count: int


def always_possible() -> str | None:
    """The answer of a fault that every machine can inject."""
    return None


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of trouble.

    inject: brings it about, holds it and heals what it did, while the load goes on. recovers_within: seconds from its
    return until everything is ready and nothing is left to do. rate: events per second meanwhile. short: part of the
    short form that CI runs. needs: None, or why this machine cannot inject it (then it is reported as not run).
    heard_within: seconds from a 202 until somebody has heard of the household that turned red by it; more than a minute
    only where the fault takes the whole log away for a good part of one. injected_within: seconds until `inject` is
    broken off.
    """

    code: str
    title: str
    inject: Inject
    recovers_within: float = 60.0
    rate: float = 40.0
    short: bool = False
    needs: Callable[[], str | None] = always_possible
    heard_within: float = 60.0
    injected_within: float = 240.0


NOT_INJECTED: dict[str, str] = {}
"""Code -> reason, for faults that do not apply to us or that no machine of ours can inject."""
