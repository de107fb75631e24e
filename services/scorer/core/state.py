"""The state of a household: all that later days can need of its history, and nothing else."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from services.scorer.core.baseline import Baseline
from services.scorer.core.evidence import Evidence
from services.scorer.core.evidence_list import EvidenceList
from services.scorer.core.history import Orphans
from services.scorer.core.hysteresis import Held
from services.scorer.core.status import Status, after
from services.scorer.core.tally import Tallies
from shared.grades import RiskGrade


class Registered(NamedTuple):
    """What the register says. kind: lifted or general; starts_on: first day judged (ordinal)."""

    kind: str
    alias: str | None
    starts_on: int
    closed: bool = False


class HouseholdState:
    """A household between two events. Never changed once it has left the core: work on a `draft`.

    clock: last day (ordinal) the household was brought to; waiting: events came before anyone enrolled it.
    statuses, surveys: as (day, mark or baseline), in order, from the first that occurs later than the clock.
    measure_from: first day on which a delivered measure is visible; measure_causes: causes that a measure was
    assigned or delivered for, one bit each; severely_disabled: a disability of grade 1 or 2 was reported.
    first_day: first day judged; below_line: the last judgement found r < 1; unstable_on: last day that ended so.
    next_due: earliest day on which anything in the result can change without an event.
    tidied: (day, baseline day) up to which the evidence holds nothing to let go of; worked out again when missing.
    tallies: sums of evidence, stored with it; worked out again when missing, of other evidence, or no longer right.
    """

    __slots__ = (
        "baseline", "below_line", "clock", "evidence", "first_day", "held", "measure_causes", "measure_from",
        "next_due", "orphans", "register", "severely_disabled", "status", "statuses", "surveys", "tallies",
        "tidied", "unstable_on", "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self.clock: int | None = None
        self.waiting = False
        self.register: Registered | None = None
        self.baseline: Baseline | None = None
        self.status = Status(False, None, False)
        self.statuses: tuple[tuple[int, int], ...] = ()
        self.surveys: tuple[tuple[int, Baseline], ...] = ()
        self.measure_from: int | None = None
        self.measure_causes = 0
        self.severely_disabled = False
        self.evidence = EvidenceList()
        self.held: Held | None = None
        self.first_day: int | None = None
        self.below_line = False
        self.unstable_on: int | None = None
        self.orphans = Orphans()
        self.next_due: int | None = None
        self.tallies: Tallies | None = None
        self.tidied: tuple[int, int] | None = None

    def draft(self) -> HouseholdState:
        """A copy to work on; its parts are replaced, never changed in place (but for orphans, which are copied)."""
        twin = HouseholdState.__new__(HouseholdState)
        twin.clock, twin.waiting = self.clock, self.waiting
        twin.register, twin.baseline = self.register, self.baseline
        twin.status, twin.statuses, twin.surveys = self.status, self.statuses, self.surveys
        twin.measure_from, twin.measure_causes = self.measure_from, self.measure_causes
        twin.severely_disabled, twin.evidence = self.severely_disabled, self.evidence
        twin.held, twin.first_day = self.held, self.first_day
        twin.below_line, twin.unstable_on = self.below_line, self.unstable_on
        # An empty one is filled by a replay only, which has one of its own.
        twin.orphans = self.orphans.copy() if self.orphans else self.orphans
        twin.next_due, twin.tallies, twin.tidied = self.next_due, self.tallies, self.tidied
        return twin

    @property
    def entries(self) -> tuple[Evidence, ...]:
        """What later days can still need of the events, in order."""
        return self.evidence.entries

    @entries.setter
    def entries(self, entries: tuple[Evidence, ...]) -> None:
        self.evidence = EvidenceList(entries)

    @property
    def enrolled(self) -> bool:
        """Whether the register knows the household."""
        return self.register is not None

    @property
    def closed(self) -> bool:
        """Whether the register has closed the household; it is not judged then."""
        return self.register is not None and self.register.closed

    @property
    def kind(self) -> str | None:
        """lifted or general; None before enrolment."""
        return self.register.kind if self.register else None

    @property
    def alias(self) -> str | None:
        """What may be shown instead of a name."""
        return self.register.alias if self.register else None

    @property
    def monitored(self) -> bool:
        """Whether it is monitored and its risk not eliminated."""
        return self.status_on(self.clock or 0).monitored

    @property
    def grade(self) -> RiskGrade | None:
        """The held grade; None while it has none."""
        return self.held.grade if self.held else None

    @property
    def since(self) -> date | None:
        """Day on which the held grade was taken."""
        return date.fromordinal(self.held.since) if self.held else None

    @property
    def clock_on(self) -> date | None:
        """Day the household was last brought to."""
        return None if self.clock is None else date.fromordinal(self.clock)

    @property
    def next_due_on(self) -> date | None:
        """Earliest day on which any field of the result can change with no event; None = never."""
        return None if self.next_due is None else date.fromordinal(self.next_due)

    def status_on(self, day: int) -> Status:
        """The status that events visible on a day have led to, in their order."""
        status = self.status
        for occurred, mark in self.statuses:
            if occurred <= day:
                status = after(status, mark, occurred)
        return status

    @property
    def live_after(self) -> int:
        """Earliest day of any baseline in sight: events up to it can never count again."""
        earliest = self.baseline.as_of if self.baseline else 0
        if self.surveys:
            days = [survey.as_of for _, survey in self.surveys]
            return min([*days, earliest]) if self.baseline else min(days)
        return earliest
