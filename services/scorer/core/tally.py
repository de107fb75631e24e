"""The tally: what the evidence of a household adds up to on one day, in one view of it.

There are two views: all evidence, and only what does not rest on the household's unverified word.
A tally stays right until its `due` day; a new event is added to a copy, so nothing is summed up twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.scorer.core import evidence as row
from services.scorer.core.baseline import Baseline
from services.scorer.core.evidence import NEVER, Evidence
from services.scorer.core.guarantees import Guarantees
from shared.policy import Numbers


class Tally:
    """Sums and latest reports; amounts in fen by cause, days as ordinals.

    visit: (result, day) of the latest visit; reported_on: day of the latest own report that no visit followed;
    floors: grades named by assessments that still count; due: first day on which this tally may be wrong.
    """

    __slots__ = (
        "advised", "assistance", "concerned_on", "debt", "due", "expenses", "full", "gains", "guarantees", "ill",
        "imputed", "losses", "members", "reliefs", "reported_on", "shock", "visit", "weak",
    )  # fmt: skip

    losses: list[int]
    expenses: list[int]
    reliefs: list[int]
    guarantees: Guarantees

    def __init__(self) -> None:
        self.gains = self.assistance = self.debt = 0
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
        tally.losses, tally.reliefs, tally.expenses = [0] * 11, [0] * 11, [0] * 11
        if day - baseline.as_of < numbers.window_days and baseline.self_pay:
            for cause, fen in baseline.self_pay:
                tally.expenses[cause] += fen
            tally._due(day, baseline.as_of + numbers.window_days)
        tally._due(day, baseline.as_of + numbers.stale_baseline_days + 1)
        tally.guarantees = Guarantees.of(baseline)
        return tally

    def copy(self) -> Tally:
        """An independent copy."""
        twin = Tally()
        twin.losses, twin.expenses, twin.reliefs = self.losses[:], self.expenses[:], self.reliefs[:]
        twin.gains, twin.assistance, twin.debt = self.gains, self.assistance, self.debt
        twin.members, twin.full, twin.weak = self.members, self.full, self.weak
        twin.shock, twin.ill, twin.imputed = self.shock, self.ill, self.imputed
        twin.visit, twin.reported_on = self.visit, self.reported_on
        twin.concerned_on, twin.advised = self.concerned_on, self.advised
        twin.guarantees = self.guarantees.copy()
        twin.due = self.due
        return twin

    def add(self, entry: Evidence, day: int, live_after: int, numbers: Numbers) -> None:
        """Add one event that is later in order than all before; live_after: the baseline's day."""
        occurred = entry.occurred
        if occurred > day:
            self._due(day, occurred)
            return
        live = occurred > live_after
        for effect in entry.effects:
            if effect[0] <= row.RELIEF:
                if live:
                    self._add_money(entry, effect, day, numbers.window_days)
            elif effect[0] <= row.ILLNESS:
                if live:
                    self._add_live(occurred, effect, day, numbers.window_days)
            else:
                self._add_mark(occurred, effect, day, numbers)

    def _add_money(self, entry: Evidence, effect: row.Row, day: int, window_days: int) -> None:
        code, cause, fen, imputed, permanent = effect
        ends = entry.occurred + window_days
        inside = day < ends
        if inside:
            self._due(day, ends)
        elif not permanent:
            return
        if code == row.LOSS:
            self.losses[cause] += fen
            self.shock = self.shock or inside
        elif code == row.EXPENSE:
            self.expenses[cause] += fen
            self.shock = True
        elif code == row.GAIN:
            self.gains += fen
        elif code == row.ASSISTANCE:
            self.assistance += fen
        else:
            self.reliefs[cause] += fen
        if imputed:
            self.imputed = (*self.imputed, entry.event_id)

    def _add_live(self, occurred: int, effect: row.Row, day: int, window_days: int) -> None:
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
            self._due(day, occurred + window_days)
            if code == row.DEBT:
                self.debt += effect[1]
            else:
                self.ill = True

    def _add_mark(self, occurred: int, effect: row.Row, day: int, numbers: Numbers) -> None:
        code = effect[0]
        if code == row.VISIT:
            self.visit = (effect[1], occurred)
            self.reported_on = None
            self._due(day, occurred + numbers.visit_days)
        elif code == row.SELF_REPORT:
            self.reported_on = occurred
            self._due(day, occurred + numbers.self_report_days)
        elif code == row.CONCERN:
            if day < occurred + numbers.concern_days:
                self.concerned_on = max(self.concerned_on or 0, occurred)
                self._due(day, occurred + numbers.concern_days)
        elif day < occurred + numbers.assessment_days:
            self.advised = max(self.advised or 0, effect[1])
            self._due(day, occurred + numbers.assessment_days)

    def _due(self, day: int, candidate: int) -> None:
        if day < candidate < self.due:
            self.due = candidate


def tally_up(
    entries: Iterable[Evidence], baseline: Baseline, day: int, numbers: Numbers, *, certain_only: bool
) -> Tally:
    """Add up a household's evidence in order, one report for each episode."""
    tally = Tally.of_baseline(baseline, day, numbers)
    chosen = list(entries)
    if certain_only:
        for entry in chosen:
            tally._due(day, entry.certain_from)
        chosen = [entry for entry in chosen if entry.certain_from <= day]
    silenced = silenced_by_episode(chosen, day, baseline.as_of)
    for place, entry in enumerate(chosen):
        if place not in silenced:
            tally.add(entry, day, baseline.as_of, numbers)
    return tally


def silenced_by_episode(entries: list[Evidence], day: int, live_after: int) -> set[int]:
    """Places of the reports that have no effect: in each episode only the best source's latest live one has."""
    best: dict[str, int] = {}
    silenced: set[int] = set()
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
