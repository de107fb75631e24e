"""Which version of a policy is in force on a day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple, Self

from shared.policy.faults import PolicyFault, PolicyInvalid
from shared.policy.model import Policy


class Windows(NamedTuple):
    """Days for which events of each sort count."""

    money: int
    visit: int
    self_report: int
    concern: int
    assessment: int

    @classmethod
    def longest(cls, policies: Iterable[Policy]) -> Self:
        """For how many days an event can matter under any of some policies."""
        every = [policy.numbers for policy in policies]
        return cls(
            money=max(numbers.window_days for numbers in every),
            visit=max(numbers.visit_days for numbers in every),
            self_report=max(numbers.self_report_days for numbers in every),
            concern=max(numbers.concern_days for numbers in every),
            assessment=max(numbers.assessment_days for numbers in every),
        )


class PolicyBook:
    """Policies by the day from which each is in force: the versions of one jurisdiction, or what a household that
    moved has lived under.

    longest: for how many days an event can matter; evidence older than that is let go.
    """

    def __init__(self, versions: Iterable[Policy], *, longest: Windows | None = None) -> None:
        """Take at least one version of one jurisdiction; two from the same day, or of different names or divisions,
        raise PolicyInvalid."""
        ordered = sorted(versions, key=lambda policy: policy.effective_from)
        _check(ordered)
        self._open([(policy.effective_from.toordinal(), policy) for policy in ordered], longest)

    @classmethod
    def of_turns(cls, turns: Sequence[tuple[int, Policy]], longest: Windows) -> Self:
        """A book of policies in force from given days (ordinals, rising), whatever their own dates say."""
        book = cls.__new__(cls)
        book._open(turns, longest)
        return book

    def _open(self, turns: Sequence[tuple[int, Policy]], longest: Windows | None) -> None:
        self.versions = tuple(policy for _, policy in turns)
        self._starts = [day for day, _ in turns]
        self.longest = longest or Windows.longest(self.versions)

    @property
    def division_prefix(self) -> str:
        """Whose policy it is: "" the nation's."""
        return self.versions[-1].division_prefix

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.versions[-1].name

    def on(self, day: date) -> Policy:
        """The version in force on a day; before the first version's day, the first."""
        return self.on_ordinal(day.toordinal())

    def on_ordinal(self, day: int) -> Policy:
        """Like `on`, for a day given as its proleptic Gregorian ordinal."""
        return self.versions[(bisect_right(self._starts, day) or 1) - 1]

    def next_change(self, day: int) -> int | None:
        """First day (ordinal) after `day` on which another version comes into force."""
        # The first version is used before its own day already, so that day changes nothing.
        later = bisect_right(self._starts, day) or 1
        return self._starts[later] if later < len(self._starts) else None


def _check(versions: Sequence[Policy]) -> None:
    def refuse(path: str, detail: str) -> None:
        raise PolicyInvalid([PolicyFault(versions[0].name if versions else "policies", None, path, detail)])

    if not versions:
        refuse("document", "a policy book needs at least one version")
    if len({policy.name for policy in versions}) > 1:
        refuse("name", "all versions of one jurisdiction's policy must have the same name")
    if len({policy.division_prefix for policy in versions}) > 1:
        refuse("division_prefix", "all versions of one policy must be for the same division")
    if len({policy.effective_from for policy in versions}) < len(versions):
        refuse("effective_from", "two versions start on the same day")
