"""Does each household stand where its ledger puts it? (I4, and the doubles of I2 that only a fold can show)

The ledger is folded anew by the reference up to the household's own day; grade, score, floors, causes, amounts, dates
and every change of grade must come out as they are stored.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from services.scorer.core.household import HouseholdState, decision_of
from services.scorer.core.state_codec import UnknownFormat, decode
from shared.policy import PolicyBook, default_policies
from tests.chaos.checker.judge_events import Books
from tests.chaos.checker.judge_order import Histories
from tests.chaos.checker.refold import Change, Course, Refolded, reference
from tests.chaos.checker.tables import LedgerRow, StateRow, Tables, TransitionRow
from tests.chaos.checker.verdict import Findings

Transitions = Mapping[str, Sequence[TransitionRow]]
Changes = Mapping[str, Sequence[Change]]
# The reference knows no latest day for a result to stay; further ahead than this is not looked.
LONG = 100
"""From so many events on a household is judged by its result alone: the reference weighs everything for each event."""
LOOK_AHEAD = timedelta(days=400)


def transitions_of(tables: Tables) -> dict[str, list[TransitionRow]]:
    """Each household's stored changes of grade, by version."""
    found: dict[str, list[TransitionRow]] = defaultdict(list)
    for row in tables.transitions:
        found[row.household_id].append(row)
    return found


def judge_grades(
    tables: Tables, histories: Histories, transitions: Transitions, books: Books, findings: Findings
) -> Changes:
    """Judge every household whose ledger is sound; the changes of grade that each should have had."""
    states = {row.household_id: row for row in tables.states}
    policies, blank, told = default_policies(), dict[tuple[str, date], Any](), dict[str, Sequence[Change]]()
    not_judged: Counter[str] = Counter()
    by_result = 0
    for household_id in sorted({*states, *histories, *transitions}):
        rows, state = histories.get(household_id, ()), states.get(household_id)
        if household_id in books.spoilt:
            not_judged["its ledger is convicted already"] += 1
        elif not rows:
            findings.convict("phantom", household_id, "has a state or a change of grade, and nothing in the ledger")
        elif state is None:
            findings.convict("misgraded", household_id, "is in the ledger and has no state")
        elif state.status == "parked":
            findings.convict("unexplained", household_id, f"is parked: {state.parked_reason}")
        else:
            one = _Household(rows, state, transitions.get(household_id, ()), findings)
            refolded = one.judge(policies, blank)
            if refolded is not None and refolded.not_judged:
                not_judged[refolded.not_judged] += 1
            elif len(rows) > LONG:
                by_result += 1
            elif refolded is not None:
                told[household_id] = refolded.changes
    judged = {"judged": len(told) + by_result, "by_result_alone": by_result, "not_judged": dict(not_judged)}
    findings.figures["households"] = judged
    return told


class _Household:
    """One household under judgement; it is convicted once, of the first thing that is wrong."""

    def __init__(
        self, rows: Sequence[LedgerRow], state: StateRow, transitions: Sequence[TransitionRow], findings: Findings
    ) -> None:
        self._rows = rows
        self._row = state
        self._transitions = transitions
        self._findings = findings

    def judge(self, policies: PolicyBook, blank: dict[tuple[str, date], Any]) -> Refolded | None:
        """Fold and compare; None if there is nothing to compare with."""
        state, last = self._state(), self._rows[-1].recorded_on
        clock = None if state is None else state.clock_on
        if state is None or clock is None or clock < last:
            self._misgraded(f"its clock stands at {clock}, its last event counts on {last}")
            return None
        replayed = {row.trigger_identity for row in self._transitions if row.change["trigger"]["kind"] == "replay"}
        course = Course(blank, {identity for identity in replayed if identity is not None})
        if self._is_long:
            course.skim(self._rows)
        else:
            for row in self._rows:
                course.take(row)
        if course.made.not_judged:
            return course.made
        made = course.end(clock)
        if not self._counted_twice(state, made):
            why = self._difference(state, made, policies) or _due_too_late(course, self._row, clock)
            if why is not None:
                self._misgraded(why)
        return made

    @property
    def _is_long(self) -> bool:
        return len(self._rows) > LONG

    def _state(self) -> HouseholdState | None:
        try:
            return decode(self._row.body)
        except UnknownFormat:
            return None

    def _added_up_anew(self) -> HouseholdState:
        state = decode(self._row.body)
        state.tallies = None
        return state

    def _misgraded(self, why: str) -> None:
        self._findings.convict("misgraded", self._row.household_id, why)

    def _counted_twice(self, state: HouseholdState, made: Refolded) -> bool:
        """Whether an event has two effects: two entries in the evidence, or changes of grade that nothing brought."""
        entries = Counter((entry.source, entry.event_id) for entry in state.entries)
        twice = sorted(event_id for (_, event_id), count in entries.items() if count > 1)
        for event_id in twice:
            self._findings.convict("doubled", event_id, f"counts twice in the state of {self._row.household_id}")
        if not self._is_long and len(self._transitions) > len(made.changes):
            extra = self._transitions[len(made.changes)]
            proof = f"{extra.household_id}:{extra.version}"
            self._findings.convict("doubled", proof, f"its ledger gives {len(made.changes)} changes of grade")
            return True
        return bool(twice)

    def _difference(self, state: HouseholdState, made: Refolded, policies: PolicyBook) -> str | None:
        """The first thing that is stored otherwise than the reference has it."""
        row, result = self._row, made.result
        grade = None if result is None else reference.GRADES.index(result["grade"])
        expected: list[tuple[str, Any, Any]] = [
            ("status", row.status, _status(made, row.status)),
            ("grade", row.grade, grade),
            ("household_seq", row.household_seq, len(self._rows)),
            ("version", row.version, len(self._transitions) if self._is_long else len(made.changes)),
            ("next_due_on", row.next_due_on, state.next_due_on),
        ]
        # The sums that are stored must be right, and so must the evidence that they were made of.
        for one in (state, self._added_up_anew()):
            decision = decision_of(one, policies)
            expected += _fields(None if decision is None else decision.result(), result)
        expected += [] if self._is_long else self._course_of_grades(made)
        for name, stored, meant in expected:
            if stored != meant:
                return f"{name} is {stored}, and should be {meant}"
        return None if self._is_long else _untrue_change(self._transitions, made.changes)

    def _course_of_grades(self, made: Refolded) -> list[tuple[str, Any, Any]]:
        """The grades that the ledger's rows tell of, event by event."""
        around = zip(self._rows, made.before, made.after, strict=True)
        return [
            (f"grade {when} {row.event_id}", stored, meant)
            for row, before, after in around
            for when, stored, meant in (("before", row.grade_before, before), ("after", row.grade_after, after))
        ]


def _status(made: Refolded, stored: str) -> str:
    if made.closed:
        return "closed"
    if made.enrolled:
        return "enrolled"
    return stored if stored in ("waiting", "area") else "waiting"


def _fields(stands: Mapping[str, Any] | None, result: Mapping[str, Any] | None) -> list[tuple[str, Any, Any]]:
    if stands is None or result is None:
        return [("result", stands, result)]
    return [(name, _sorted(name, stands.get(name)), meant) for name, meant in result.items()]


def _sorted(name: str, value: Any) -> Any:
    return sorted(value) if name == "imputed" else value


def _due_too_late(course: Course, row: StateRow, clock: date) -> str | None:
    """Look at the last day on which nothing should change yet."""
    due = row.next_due_on
    if row.status != "enrolled" or row.grade is None:
        return None
    if due is not None and due <= clock:
        return f"was due on {due}, and stands at {clock}"
    eve = min(due or date.max, clock + LOOK_AHEAD) - timedelta(days=1)
    if eve > clock and course.differs_on(eve):
        return f"is called due on {due}, and its result has changed by {eve}"
    return None


def _untrue_change(transitions: Sequence[TransitionRow], changes: Sequence[Change]) -> str | None:
    for number, (row, change) in enumerate(zip(transitions, changes, strict=False), start=1):
        if row.version != number:
            return f"change {number} of its grade is missing"
        told = _told(row)
        for name, meant in _meant(row, change).items():
            if told.get(name) != meant:
                return f"change {number}: {name} is {told.get(name)}, and should be {meant}"
    if len(transitions) < len(changes):
        return f"change {len(transitions) + 1} of its grade is missing"
    return None


def _told(row: TransitionRow) -> dict[str, Any]:
    """What a stored change says, in the row and in the message that it keeps."""
    body, trigger = row.change, row.change["trigger"]
    reasons = [reason["code"] for reason in body["reasons"]]
    return {
        "row": (row.old_grade, row.new_grade, row.on_day, row.trigger_identity),
        "id": (body["id"], body["household_id"], body["version"]),
        "grades": (body["old"], body["new"], body["on_day"]),
        "event": (trigger["source"], trigger["event_id"]),
        "figures": body["figures"],
        "causes": body["causes"],
        "imputed": sorted(body["imputed"]),
        "data_gaps": body["data_gaps"],
        "suggested_category": body["suggested_category"],
        "floors": [code for code in reasons if code not in ("SCORE", "UNVERIFIED", "QUIET_SPELL")],
    }


def _heads(row: TransitionRow, change: Change) -> dict[str, Any]:
    """What is said of a change beside its grounds."""
    by, old = change.by, None if change.old is None else reference.GRADES[change.old]
    return {
        "row": (change.old, change.new, change.on_day, None if by is None else by.identity),
        "id": (f"{row.household_id}:{row.version}", row.household_id, row.version),
        "grades": (old, reference.GRADES[change.new], change.on_day.isoformat()),
        "event": (None, None) if by is None else by.who,
    }


def _meant(row: TransitionRow, change: Change) -> dict[str, Any]:
    """What a change must say."""
    result = change.result
    if result is None:
        return _heads(row, change) | {"figures": {}, "causes": [], "floors": ["HOUSEHOLD_CLOSED"]}
    figures = {name: result[name] for name in ("score", "raw_grade", *_FIGURES)}
    figures |= {f"score_{part}": points for part, points in result["parts"].items()}
    return {
        **_heads(row, change),
        "figures": figures | {"line_yuan": int(reference.LINE)},
        **{name: result[name] for name in ("causes", "imputed", "data_gaps", "suggested_category", "floors")},
    }


_FIGURES = ("adjusted_per_capita", "ratio", "net_rigid", "rigid_share", "labour_ratio")
