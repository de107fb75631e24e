"""The tally: what the evidence of a household adds up to on one day, in one view of it.

There are two views: all evidence, and only what does not rest on the household's unverified word.
A tally stays right until its `due` day; a new event is added to a copy, so nothing is summed up twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.scorer.core import evidence as row
from services.scorer.core.baseline import Baseline
from services.scorer.core.evidence import NEVER, Evidence
from services.scorer.core.evidence_list import EvidenceList
from services.scorer.core.guarantees import Guarantees
from shared.events.payloads import CAUSES
from shared.policy import CountedDays

# Where in a tally's sums each sort of amount begins; gains and assistance have no cause (NO_CAUSE = -1).
EXPENSES, RELIEFS, GAINED, ASSISTED = len(CAUSES), 2 * len(CAUSES), 3 * len(CAUSES), 3 * len(CAUSES) + 1
_PLACES = {
    row.LOSS: 0,
    row.EXPENSE: EXPENSES,
    row.GAIN: GAINED - row.NO_CAUSE,
    row.ASSISTANCE: ASSISTED - row.NO_CAUSE,
    row.RELIEF: RELIEFS,
}


class Tally:
    """Sums and latest reports; amounts in fen, days as ordinals.

    sums: amounts in one list: by cause the losses, the expenses and the reliefs, then all gains, and all assistance.

    visit: (result, day) of the latest visit; reported_on: day of the latest own report that no visit followed;
    floors: grades named by assessments that still count; due: first day on which this tally may be wrong.
    """

    __slots__ = (
        "advised", "concerned_on", "debt", "due", "full", "guarantees", "ill", "imputed", "members", "reported_on",
        "shock", "sums", "visit", "weak",
    )  # fmt: skip

    guarantees: Guarantees

    def __init__(self) -> None:
        self.sums = [0] * (ASSISTED + 1)
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
    def of_baseline(cls, baseline: Baseline, day: int, counted: CountedDays) -> Tally:
        """What a household without events adds up to."""
        tally = cls()
        if day - baseline.as_of < counted.money and baseline.self_pay:
            for cause, fen in baseline.self_pay:
                tally.sums[EXPENSES + cause] += fen
            tally._due(day, baseline.as_of + counted.money)
        tally._due(day, baseline.as_of + counted.stale_baseline + 1)
        tally.guarantees = Guarantees.of(baseline)
        return tally

    @property
    def losses(self) -> list[int]:
        """Income lost, by cause."""
        return self.sums[:EXPENSES]

    @property
    def expenses(self) -> list[int]:
        """Expense, by cause."""
        return self.sums[EXPENSES:RELIEFS]

    @property
    def reliefs(self) -> list[int]:
        """Claims and relief, by cause."""
        return self.sums[RELIEFS:GAINED]

    @property
    def gains(self) -> int:
        """Income gained that is no assistance."""
        return self.sums[GAINED]

    @property
    def assistance(self) -> int:
        """Income gained that is assistance."""
        return self.sums[ASSISTED]

    def copy(self) -> Tally:
        """An independent copy."""
        twin = Tally.__new__(Tally)
        twin.sums = self.sums[:]
        twin.debt = self.debt
        twin.members, twin.full, twin.weak = self.members, self.full, self.weak
        twin.shock, twin.ill, twin.imputed = self.shock, self.ill, self.imputed
        twin.visit, twin.reported_on = self.visit, self.reported_on
        twin.concerned_on, twin.advised = self.concerned_on, self.advised
        twin.guarantees = self.guarantees
        twin.due = self.due
        return twin

    def add(self, entries: Iterable[Evidence], day: int, live_after: int, counted: CountedDays) -> None:
        """Add events that are later in order than all before; live_after: the baseline's day."""
        # The hottest loop of all: amounts, which most events are, are added right here.
        due, window_days = self.due, counted.money
        sums = self.sums
        for event_id, _, occurred, _, _, _, effects in entries:
            if occurred > day:
                due = min(due, occurred)
                continue
            live, ends = occurred > live_after, occurred + window_days
            for effect in effects:
                if effect[0] > row.RELIEF:
                    if effect[0] != row.ILLNESS:
                        due = min(due, self._add_other(occurred, effect, day, live, counted))
                    elif live and day < ends:
                        self.ill, due = True, min(due, ends)
                    continue
                code, cause, fen, imputed, permanent = effect
                if not live or (ends <= day and not permanent):
                    continue
                sums[_PLACES[code] + cause] += fen
                if day < ends:
                    if ends < due:
                        due = ends
                    if code <= row.EXPENSE:
                        self.shock = True
                if imputed:
                    self.imputed = (*self.imputed, event_id)
        self.due = due

    def _add_other(self, occurred: int, effect: row.Row, day: int, live: bool, counted: CountedDays) -> int:
        """Add anything but an amount; returns the first day on which that may be wrong."""
        if effect[0] > row.ILLNESS:
            return self._add_mark(occurred, effect, day, counted)
        return self._add_live(occurred, effect, day, counted.money) if live else NEVER

    def _add_live(self, occurred: int, effect: row.Row, day: int, window_days: int) -> int:
        code = effect[0]
        if code == row.BREACH:
            self.guarantees = self.guarantees.reported(effect[1], 1, occurred, effect[2])
        elif code == row.HOUSING:
            rank, cause, worsens_only = effect[1:]
            self.guarantees = self.guarantees.reported(
                row.HOUSE, rank, occurred, cause, worsens_only=bool(worsens_only)
            )
        elif code == row.RESTORE:
            self.guarantees = self.guarantees.restored(effect[1])
        elif code == row.STRUCTURE:
            self.members += effect[1]
            self.full += effect[2]
            self.weak += effect[3]
        elif day < occurred + window_days:
            self.debt += effect[1]
            return occurred + window_days
        return NEVER

    def _add_mark(self, occurred: int, effect: row.Row, day: int, counted: CountedDays) -> int:
        code = effect[0]
        if code == row.VISIT:
            self.visit = (effect[1], occurred)
            self.reported_on = None
            ends = occurred + counted.visit
        elif code == row.SELF_REPORT:
            self.reported_on = occurred
            ends = occurred + counted.self_report
        elif code == row.CONCERN:
            ends = occurred + counted.concern
            if day < ends:
                self.concerned_on = max(self.concerned_on or 0, occurred)
        else:
            ends = occurred + counted.assessment
            if day < ends:
                self.advised = max(self.advised or 0, effect[1])
        return ends if day < ends else NEVER

    def _due(self, day: int, candidate: int) -> None:
        if day < candidate < self.due:
            self.due = candidate


class Tallies(NamedTuple):
    """Both views of the evidence, added up; the same object twice while nothing rests on unverified word.

    They know what they are of, so that sums of yesterday's evidence, of another baseline or under another policy's days
    are never taken for today's.
    """

    everything: Tally
    certain: Tally
    evidence: EvidenceList
    baseline: Baseline | None
    counted: CountedDays

    def are_of(self, evidence: EvidenceList, baseline: Baseline | None) -> bool:
        """Whether they are the sums of just this evidence."""
        return self.evidence is evidence and self.baseline is baseline

    def hold(self, evidence: EvidenceList, baseline: Baseline | None, day: int, counted: CountedDays) -> bool:
        """Whether they are right for this evidence on a day, no earlier than the one for which they were made."""
        return (
            self.evidence is evidence
            and self.baseline is baseline
            and day < self.everything.due
            and day < self.certain.due
            and self.counted == counted
        )


def tally_up(
    entries: Sequence[Evidence], baseline: Baseline, day: int, counted: CountedDays, *, certain_only: bool
) -> Tally:
    """Add up a household's evidence in order, one report for each episode."""
    tally = Tally.of_baseline(baseline, day, counted)
    chosen: Sequence[Evidence] = entries
    if certain_only:
        for entry in chosen:
            tally._due(day, entry.certain_from)
        chosen = [entry for entry in chosen if entry.certain_from <= day]
    if silenced := silenced_by_episode(chosen, day, baseline.as_of):
        chosen = [entry for place, entry in enumerate(chosen) if place not in silenced]
    tally.add(chosen, day, baseline.as_of, counted)
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
