"""What a household's ledger should have made of it, by the second reading of the rules.

Each day from the first on is judged at 00:00 and again after each of its events, from the whole known history. Where
an event rewrites that history, all of it is judged anew, and only the grade that comes out is news.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib import import_module
from typing import Any, NamedTuple

from tests.chaos.checker.tables import LedgerRow

# Taken as Any: the reference is plain on purpose and bears no types.
reference: Any = import_module("tests.rules.reference")

Result = dict[str, Any]
REWRITES = ("event.refuted", "event.corrected")
MAY_REWRITE = ("event.verified", "survey.result")
SCORE_FROM = (0, 20, 35, 50, 70)
MARGIN_POINTS = 3
QUIET_DAYS = 30
ONE_DAY = timedelta(days=1)


class Held(NamedTuple):
    """The grade a household has, since when, and from when on its evidence has been milder without a break."""

    grade: int
    since: date
    quiet_from: date | None


class Change(NamedTuple):
    """A change of the held grade that must be told. old: None at the first; by: None where only time passed.

    result: None where the register closed the household; it has no grade then, and green stands for it.
    """

    old: int | None
    new: int
    on_day: date
    by: LedgerRow | None
    result: Result | None


@dataclass(slots=True)
class Refolded:
    """before, after: the grade around each row of the ledger. result: at the end; None while there is no grade.

    not_judged: why the reference cannot tell; nothing else counts then.
    """

    enrolled: bool = False
    closed: bool = False
    before: list[int | None] = field(default_factory=list)
    after: list[int | None] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    result: Result | None = None
    not_judged: str | None = None


class Course:
    """One household on its way through its ledger: `take` each row in order, then `end` on the day of its clock.

    blank: remembers how days without any event are judged; the households of a run have the same baseline.
    rewrote: identities of events that are stored as having rewritten history; believed where they may do so.
    """

    def __init__(self, blank: dict[tuple[str, date], Any], rewrote: Collection[bytes] = ()) -> None:
        self.made = Refolded()
        self._blank = blank
        self._rewrote = rewrote
        self._household: Result = {}
        self._key = ""
        self._raw: list[Result] = []
        self._held: Held | None = None
        self._now: Any = None
        self._clock = date.min
        self._division: str | None = None

    def take(self, row: LedgerRow) -> None:
        """Take the next row of the ledger."""
        if self._is_judged and row.grade_before != self._grade:
            # Days that had passed were judged, and told, before the event came.
            self._pass_time(row.recorded_on, None)
        self.made.before.append(self._grade)
        payload, told = json.loads(row.payload), len(self.made.changes)
        moved = self._moves(row, payload)
        if row.type == "registry.enrolled":
            self._enrol(row, payload)
        elif row.type == "registry.closed":
            self._close(row)
        else:
            self._raw.append(_as_reference(row, row.type, payload))
            self._judge_after(row)
        if moved and self._held is not None and len(self.made.changes) == told:
            # Told although the grade stays: other people look after the household now.
            self._note(self._held.grade, row, row.recorded_on)
        self._clock = max(self._clock, row.recorded_on)
        self.made.after.append(self._grade)

    def skim(self, rows: Sequence[LedgerRow]) -> None:
        """Take a whole ledger for its result alone: every event is weighed once, and no change of grade is told."""
        for row in rows:
            payload = json.loads(row.payload)
            if row.type == "registry.enrolled" and not self.made.enrolled:
                self._enter(payload)
            elif row.type in ("registry.enrolled", "registry.closed"):
                self.made.not_judged = "a long history with more than one enrolment, or a closing"
            else:
                self._raw.append(_as_reference(row, row.type, payload))
        if self.made.enrolled:
            self._from_the_start(rows[-1].recorded_on)
        self._clock = rows[-1].recorded_on

    def end(self, as_of: date) -> Refolded:
        """Let time pass to 00:00 of a day."""
        if self._is_judged:
            self._pass_time(as_of, None)
        self.made.result = None if self._held is None else self._result()
        return self.made

    def differs_on(self, day: date) -> bool:
        """Whether the result of one later day is another one, if nothing more is reported."""
        before, held = self.made.result, self._held
        if before is None or held is None:
            return False
        self._now = now = self._evaluate(self._known(day), day)
        if now["raw"] < held.grade:
            return held.quiet_from is None or self._may_fall(held, day) or self._result() != before
        return now["raw"] > held.grade or held.quiet_from is not None or self._result() != before

    @property
    def _grade(self) -> int | None:
        return None if self._held is None else self._held.grade

    @property
    def _is_judged(self) -> bool:
        return self.made.enrolled and not self.made.closed

    @property
    def _first_day(self) -> date:
        return date.fromisoformat(self._household.get("enrolled_on") or self._household["baseline"]["as_of"])

    def _moves(self, row: LedgerRow, payload: Result) -> bool:
        before = self._division
        if before is None or row.type == "registry.enrolled":
            self._division = row.division
        elif row.type == "registry.moved":
            self._division = payload["division"]
        return before is not None and self._division != before

    def _enrol(self, row: LedgerRow, payload: Result) -> None:
        if self.made.enrolled:
            self._enrol_again(row, payload)
            return
        waited = bool(self._raw)
        self._enter(payload)
        steps = self._from_the_start(row.recorded_on)
        if waited:
            self._note_if_other(None, row)
        else:
            for old, new, day, result in steps:
                self.made.changes.append(Change(old, new, day, row if old is None else None, result))

    def _enter(self, payload: Result) -> None:
        self._household = {"monitored": False, **payload}
        self._key = json.dumps({**self._household, "alias": None, "household_id": None}, sort_keys=True)
        self.made.enrolled = True

    def _enrol_again(self, row: LedgerRow, payload: Result) -> None:
        surveyed = any(event["type"] == "survey.result" for event in self._raw)
        if self.made.closed or surveyed:
            self.made.not_judged = "enrolled again after a survey or its closing"
            return
        if payload["baseline"]["as_of"] > self._household["baseline"]["as_of"]:
            self._raw.append(_as_reference(row, "survey.result", {"baseline": payload["baseline"]}))
            self._judge_after(row)

    def _close(self, row: LedgerRow) -> None:
        if not self.made.enrolled:
            self.made.not_judged = "closed before it was enrolled"
        elif not self.made.closed:
            self._pass_time(row.recorded_on, row)
            if self._held is not None:
                self.made.changes.append(Change(self._held.grade, 0, row.recorded_on, row, None))
            self._held, self.made.closed = None, True

    def _judge_after(self, row: LedgerRow) -> None:
        if not self._is_judged:
            return
        if self._rewrites(row):
            old = self._grade
            self._from_the_start(row.recorded_on)
            self._note_if_other(old, row)
            return
        newest = self._raw.pop()
        self._pass_time(row.recorded_on, row)
        self._raw.append(newest)
        if row.recorded_on >= self._first_day:
            for old, new, day, result in self._judge(self._known(row.recorded_on), row.recorded_on):
                self.made.changes.append(Change(old, new, day, row, result))

    def _rewrites(self, row: LedgerRow) -> bool:
        if row.type in MAY_REWRITE:
            return row.identity in self._rewrote
        return row.type in REWRITES and row.source_class != "self"

    def _pass_time(self, day: date, row: LedgerRow | None) -> None:
        """Judge each day's beginning up to `day`. row: the event that was on its way meanwhile."""
        known = self._known(day)
        today = max(self._clock + ONE_DAY, self._first_day)
        while today <= day:
            for old, new, on_day, result in self._judge(known, today):
                self.made.changes.append(Change(old, new, on_day, row if old is None else None, result))
            today += ONE_DAY
        self._clock = max(self._clock, day)

    def _from_the_start(self, day: date) -> list[tuple[int | None, int, date, Result]]:
        """Judge everything anew up to and with this day."""
        self._held, found = None, []
        known, today = self._known(day), self._first_day
        while today <= day:
            seen = [event for event in known if event["recorded"] < today]
            todays = [event for event in known if event["recorded"] == today]
            for count in range(len(todays) + 1):
                found += self._judge(seen + todays[:count], today)
            today += ONE_DAY
        return found

    def _judge(self, events: list[Any], day: date) -> list[tuple[int | None, int, date, Result]]:
        """Judge one moment; the change of the held grade, if there is one."""
        self._now = now = self._evaluate(events, day)
        held, raw = self._held, now["raw"]
        if held is None or raw > held.grade:
            self._held = Held(raw, day, None)
        elif raw == held.grade:
            self._held = held._replace(quiet_from=None)
        else:
            self._held = held = held._replace(quiet_from=held.quiet_from or day)
            if self._may_fall(held, day):
                lower = held.grade - 1
                self._held = Held(lower, day, None if raw == lower else day)
        if held is not None and self._held.grade == held.grade:
            return []
        return [(None if held is None else held.grade, self._held.grade, day, self._result())]

    def _may_fall(self, held: Held, day: date) -> bool:
        quiet = held.quiet_from is not None and (day - held.quiet_from).days >= QUIET_DAYS
        return quiet and bool(self._now["score"] < SCORE_FROM[held.grade] - MARGIN_POINTS)

    def _note_if_other(self, old: int | None, row: LedgerRow) -> None:
        if self._held is not None and self._held.grade != old:
            self._note(old, row, row.recorded_on)

    def _note(self, old: int | None, row: LedgerRow, day: date) -> None:
        assert self._held is not None
        self.made.changes.append(Change(old, self._held.grade, day, row, self._result()))

    def _known(self, day: date) -> list[Any]:
        known: list[Any] = reference.known_history(self._raw, day)
        return known

    def _evaluate(self, events: list[Any], day: date) -> Any:
        if events:
            return reference.evaluate(self._household, events, day)
        if (self._key, day) not in self._blank:
            self._blank[self._key, day] = reference.evaluate(self._household, events, day)
        return self._blank[self._key, day]

    def _result(self) -> Result:
        assert self._held is not None
        result: Result = reference.output(self._household, self._now, *self._held)
        return result | {"imputed": sorted(one.partition(" ")[2] for one in result["imputed"])}


def _as_reference(row: LedgerRow, kind: str, payload: Result) -> Result:
    """An event as the reference takes it, which knows no sources: here they are part of the ids."""
    if kind.startswith("event."):
        payload = {**payload, "ref": f"{payload.get('ref_source') or row.source} {payload['ref']}"}
    return {
        "event_id": f"{row.source} {row.event_id}",
        "type": kind,
        "occurred_on": row.occurred_on.isoformat(),
        "recorded_on": row.recorded_on.isoformat(),
        "source": row.source_class,
        "episode": row.episode,
        "payload": payload,
    }
