"""The tally: what the evidence of a household adds up to on one day, in one view of it.

There are two views: all evidence, and only what does not rest on the household's unverified word.
A tally stays right until its `due` day; a new event is added to a copy, so nothing is summed up twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.scorer.core import evidence as row
from services.scorer.core.baseline import Baseline
from services.scorer.core.evidence import NEVER, Evidence
from services.scorer.core.guarantees import Guarantees
from shared.policy import Numbers


class Tally:
    """Sums and latest reports; amounts in fen, days as ordinals.

    sums: amounts by the code of an effect row, then by cause (gains and assistance have none: one amount each).

    visit: (result, day) of the latest visit; reported_on: day of the latest own report that no visit followed;
    floors: grades named by assessments that still count; due: first day on which this tally may be wrong.
    """

    __slots__ = (
        "advised", "concerned_on", "debt", "due", "full", "guarantees", "ill", "imputed", "members", "reported_on",
        "shock", "sums", "visit", "weak",
    )  # fmt: skip

    sums: tuple[list[int], ...]
    guarantees: Guarantees

    def __init__(self) -> None:
        self.debt = 0
        self.members = self.full = self.weak = 0
        self.shock = self.ill = False
        self.imputed: tuple[str, ...] = ()
        self.visit: tuple[int, int] | None = None
        self.reported_on: int | None = None
        self.concerned_on: int | None = None
        self.advised: int | None = None
        self.due = NEVER

    @classmethod
    def of_baseline(cls, baseline: Baseline, day: int, numbers: Numbers) -> Tally:
        """What a household without events adds up to."""
        tally = cls()
        tally.sums = ([0] * 11, [0] * 11, [0], [0], [0] * 11)
        if day - baseline.as_of < numbers.window_days and baseline.self_pay:
            for cause, fen in baseline.self_pay:
                tally.sums[row.EXPENSE][cause] += fen
            tally._due(day, baseline.as_of + numbers.window_days)
        tally._due(day, baseline.as_of + numbers.stale_baseline_days + 1)
        tally.guarantees = Guarantees.of(baseline)
        return tally

    @property
    def losses(self) -> list[int]:
        """Income lost, by cause."""
        return self.sums[row.LOSS]

    @property
    def expenses(self) -> list[int]:
        """Expense, by cause."""
        return self.sums[row.EXPENSE]

    @property
    def reliefs(self) -> list[int]:
        """Claims and relief, by cause."""
        return self.sums[row.RELIEF]

    @property
    def gains(self) -> int:
        """Income gained that is no assistance."""
        return self.sums[row.GAIN][0]

    @property
    def assistance(self) -> int:
        """Income gained that is assistance."""
        return self.sums[row.ASSISTANCE][0]

    def copy(self) -> Tally:
        """An independent copy."""
        twin = Tally()
        twin.sums = tuple([by_cause[:] for by_cause in self.sums])
        twin.debt = self.debt
        twin.members, twin.full, twin.weak = self.members, self.full, self.weak
        twin.shock, twin.ill, twin.imputed = self.shock, self.ill, self.imputed
        twin.visit, twin.reported_on = self.visit, self.reported_on
        twin.concerned_on, twin.advised = self.concerned_on, self.advised
        twin.guarantees = self.guarantees.copy()
        twin.due = self.due
        return twin

    def add(self, entries: Iterable[Evidence], day: int, live_after: int, numbers: Numbers) -> None:
        """Add events that are later in order than all before; live_after: the baseline's day."""
        # The hottest loop of all: amounts, which most events are, are added right here.
        due, window_days = self.due, numbers.window_days
        sums = self.sums
        for event_id, _, occurred, _, _, _, effects in entries:
            if occurred > day:
                due = min(due, occurred)
                continue
            live, ends = occurred > live_after, occurred + window_days
            for effect in effects:
                if effect[0] > row.RELIEF:
                    if effect[0] != row.ILLNESS:
                        due = min(due, self._add_other(occurred, effect, day, live, numbers))
                    elif live and day < ends:
                        self.ill, due = True, min(due, ends)
                    continue
                code, cause, fen, imputed, permanent = effect
                if not live or (ends <= day and not permanent):
                    continue
                sums[code][cause] += fen
                if day < ends:
                    if ends < due:
                        due = ends
                    if code <= row.EXPENSE:
                        self.shock = True
                if imputed:
                    self.imputed = (*self.imputed, event_id)
        self.due = due

    def _add_other(self, occurred: int, effect: row.Row, day: int, live: bool, numbers: Numbers) -> int:
        """Add anything but an amount; returns the first day on which that may be wrong."""
        if effect[0] > row.ILLNESS:
            return self._add_mark(occurred, effect, day, numbers)
        return self._add_live(occurred, effect, day, numbers.window_days) if live else NEVER

    def _add_live(self, occurred: int, effect: row.Row, day: int, window_days: int) -> int:
        code = effect[0]
        if code == row.BREACH:
            self.guarantees.report(effect[1], 1, occurred, effect[2])
        elif code == row.HOUSING:
            self.guarantees.report(row.HOUSE, effect[1], occurred, effect[2], worsens_only=bool(effect[3]))
        elif code == row.RESTORE:
            self.guarantees.restore(effect[1])
        elif code == row.STRUCTURE:
            self.members += effect[1]
            self.full += effect[2]
            self.weak += effect[3]
        elif day < occurred + window_days:
            self.debt += effect[1]
            return occurred + window_days
        return NEVER

    def _add_mark(self, occurred: int, effect: row.Row, day: int, numbers: Numbers) -> int:
        code = effect[0]
        if code == row.VISIT:
            self.visit = (effect[1], occurred)
            self.reported_on = None
            ends = occurred + numbers.visit_days
        elif code == row.SELF_REPORT:
            self.reported_on = occurred
            ends = occurred + numbers.self_report_days
        elif code == row.CONCERN:
            ends = occurred + numbers.concern_days
            if day < ends:
                self.concerned_on = max(self.concerned_on or 0, occurred)
        else:
            ends = occurred + numbers.assessment_days
            if day < ends:
                self.advised = max(self.advised or 0, effect[1])
        return ends if day < ends else NEVER

    def _due(self, day: int, candidate: int) -> None:
        if day < candidate < self.due:
            self.due = candidate


def tally_up(
    entries: Sequence[Evidence], baseline: Baseline, day: int, numbers: Numbers, *, certain_only: bool
) -> Tally:
    """Add up a household's evidence in order, one report for each episode."""
    tally = Tally.of_baseline(baseline, day, numbers)
    chosen: Sequence[Evidence] = entries
    if certain_only:
        for entry in chosen:
            tally._due(day, entry.certain_from)
        chosen = [entry for entry in chosen if entry.certain_from <= day]
    if silenced := silenced_by_episode(chosen, day, baseline.as_of):
        chosen = [entry for place, entry in enumerate(chosen) if place not in silenced]
    tally.add(chosen, day, baseline.as_of, numbers)
    return tally


def silenced_by_episode(entries: Sequence[Evidence], day: int, live_after: int) -> set[int]:
    """Places of the reports that have no effect: in each episode only the best source's latest live one has."""
    best: dict[str, int] = {}
    silenced: set[int] = set()
    if not any([entry.episode for entry in entries]):  # noqa: C419  a list is quicker here
        return silenced
    for place, entry in enumerate(entries):
        if not entry.episode or not live_after < entry.occurred <= day:
            continue
        rival = best.get(entry.episode)
        if rival is None:
            best[entry.episode] = place
        elif entry.authority <= entries[rival].authority:
            silenced.add(rival)
            best[entry.episode] = place
        else:
            silenced.add(place)
    return silenced
