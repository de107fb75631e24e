"""One household and its events of a batch: what the core decides, put into rows and messages. No I/O."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal

from services.scorer.core.grade import Decision
from services.scorer.core.household import Change, Folded, HouseholdState, advance, fold, new_household, replay
from services.scorer.core.state_codec import decode, encode
from services.scorer.grade_change import Household, Occasion, grade_change
from services.scorer.read_record import ReceivedEvent
from services.scorer.residence import division_from, stays_of
from services.scorer.store import LedgerRow, StateRow, TransitionRow
from shared.events.catalogue import EVENT_TYPES
from shared.events.household_event import HouseholdEvent
from shared.grades import GradeChanged, RiskGrade
from shared.logs import get_logger
from shared.policy import Policies, PolicyBook

log = get_logger(__name__)


class NeedsHistory(Exception):
    """An event changes the past of its household: its ledger must be loaded and folded from nothing."""


@dataclass(slots=True)
class Outcome:
    """What a household's events of one batch amount to.

    label: what became of them (applied, waiting, parked). clue: (household_id, division) for `opened_clue`.
    findings: (household_id, code, identity of the event).
    """

    state: StateRow
    label: str
    ledger: list[LedgerRow] = field(default_factory=list)
    transitions: list[TransitionRow] = field(default_factory=list)
    changes: list[GradeChanged] = field(default_factory=list)
    findings: list[tuple[str, str, bytes]] = field(default_factory=list)
    opened_clue: bool = False
    closed_clue: bool = False
    newly_parked: bool = False

    @property
    def clue(self) -> tuple[str, str]:
        """The household that no register knows, and the division that its event named."""
        return (self.state.household_id, self.state.division)


def fold_household(
    stored: StateRow | None,
    events: Sequence[ReceivedEvent],
    history: Sequence[HouseholdEvent] | None,
    now: datetime,
    policies: Policies,
) -> Outcome:
    """Fold a household's new events, in order.

    history: its events in the ledger, or None while nobody has loaded them. Raises NeedsHistory when one of the events
    cannot be folded without; nothing has happened then.
    """
    work = _Work(stored, events[0], now, policies, history)
    for received in events:
        work.take(received)
    return work.outcome()


def tick_household(
    stored: StateRow, today: date, history: Sequence[HouseholdEvent] | None, now: datetime, policies: Policies
) -> Outcome:
    """Bring a household to 00:00 of today. Raises NeedsHistory as `fold_household` does."""
    work = _Work(stored, None, now, policies, history)
    work.tick(today)
    return work.outcome()


class _Work:
    """The folding of one household, event by event."""

    def __init__(
        self,
        stored: StateRow | None,
        first: ReceivedEvent | None,
        now: datetime,
        policies: Policies,
        history: Sequence[HouseholdEvent] | None,
    ) -> None:
        if stored is None:
            assert first is not None
            stored = StateRow(
                first.household_id, first.division, None, "waiting", None, 0, 0, None, None, encode(new_household())
            )
        self._row = stored
        self._state = _state_of(stored, history, policies)
        self._was_known = stored.household_seq > 0
        self._is_area = stored.status == "area" or (first is not None and not self._was_known and _of_area(first))
        self._was_enrolled = self._state.enrolled
        self._parked = stored.parked_reason
        self._division = stored.division
        self._version = stored.version
        self._seq = stored.household_seq
        self._now = now
        self._policies = policies
        self._so_far = None if history is None else list(history)
        self._made = Outcome(stored, "applied")

    def take(self, received: ReceivedEvent) -> None:
        """Fold one event, or park the household at it."""
        before = self._state.grade
        recorded_on = max(received.event.recorded_on, self._state.clock_on or date.min)
        if self._parked is None:
            with self._parking_at(received):
                recorded_on = self._fold(received) or recorded_on
        if self._so_far is not None:
            self._so_far.append(replace(received.event, recorded_on=recorded_on))
        self._seq += 1
        self._made.ledger.append(
            LedgerRow(received, self._seq, recorded_on, _number(before), _number(self._state.grade))
        )

    def tick(self, today: date) -> None:
        """Let time pass without an event."""
        with self._parking_at(None):
            folded = advance(self._state, today, self._book)
            self._state = folded.state
            self._note_changes(folded.changes, None)
            _check_writable(self._state)

    def outcome(self) -> Outcome:
        """Put everything together."""
        made, state = self._made, self._state
        made.state = StateRow(
            household_id=self._row.household_id,
            division=self._division,
            alias=state.alias,
            status=self._status(),
            grade=_number(state.grade),
            version=self._version,
            household_seq=self._seq,
            next_due_on=state.next_due_on,
            parked_reason=self._parked,
            body=encode(state),
        )
        made.label = made.state.status if made.state.status in ("waiting", "parked") else "applied"
        made.opened_clue = made.state.status == "waiting" and not self._was_known
        made.closed_clue = state.enrolled and not self._was_enrolled and self._was_known
        return made

    def _fold(self, received: ReceivedEvent) -> date | None:
        before, division = self._book, self._division
        told = len(self._made.changes)
        self._division = self._division_after(received)
        folded = fold(self._state, received.event, self._book)
        if folded.needs_replay:
            decision = self._replay(received, folded.recorded_on, "replay")
        elif self._book is not before and self._state.enrolled:
            # 00:00 of today was judged by the policy that was left; the day belongs to the one that is entered.
            decision = self._replay(received, folded.recorded_on, "event")
        else:
            self._state, decision = folded.state, folded.decision
            self._note_changes(folded.changes, received)
            self._note_findings(folded, received)
        if decision is not None and self._division != division and len(self._made.changes) == told:
            # Told although the grade stays: who looks after the household is now somebody else.
            self._note(decision.grade, decision, _occasion("event", received), received.identity)
        _check_writable(self._state)
        return folded.recorded_on

    @property
    def _book(self) -> PolicyBook:
        return self._policies.for_division(self._division)

    def _replay(self, received: ReceivedEvent, day: date | None, kind: Literal["event", "replay"]) -> Decision | None:
        """Fold the ledger and this event from nothing; return the decision that stands now."""
        if self._so_far is None:
            raise NeedsHistory
        before = self._state.grade
        recorded_on = day or received.event.recorded_on
        ledger = [*self._so_far, replace(received.event, recorded_on=recorded_on)]
        folded = replay(ledger, recorded_on, self._policies.along(stays_of(ledger, self._division)))
        self._state = folded.state
        self._note_findings(folded, received)
        # What it went through on the way is history; where it stands now, compared with before, is news.
        if folded.decision is not None and folded.decision.grade != before:
            self._note(before, folded.decision, _occasion(kind, received), received.identity)
        return folded.decision

    def _note_changes(self, changes: Sequence[Change], received: ReceivedEvent | None) -> None:
        for change in changes:
            # The first grade is that of a day, but it is the enrolment that brings it.
            by_time = change.event is None and change.old is not None
            if by_time or received is None:
                self._note(change.old, change.decision, Occasion("timer"), None)
            else:
                self._note(change.old, change.decision, _occasion("event", received), received.identity)

    def _note(
        self, old: RiskGrade | None, decision: Decision, occasion: Occasion, trigger_identity: bytes | None
    ) -> None:
        self._version += 1
        household = Household(self._row.household_id, self._division, self._state.alias)
        change = grade_change(household, self._version, old, decision, occasion, self._now)
        self._made.changes.append(change)
        self._made.transitions.append(
            TransitionRow(
                household_id=change.household_id,
                version=change.version,
                old_grade=_number(change.old_grade),
                new_grade=int(change.new_grade),
                on_day=change.on_day,
                decided_at=change.decided_at,
                trigger_identity=trigger_identity,
                change=change.model_dump_json(),
            )
        )

    def _note_findings(self, folded: Folded, received: ReceivedEvent) -> None:
        self._made.findings.extend(
            (received.household_id, finding.code, received.identity) for finding in folded.findings
        )

    def _division_after(self, received: ReceivedEvent) -> str:
        return division_from(received.event) or self._division

    @contextmanager
    def _parking_at(self, received: ReceivedEvent | None) -> Iterator[None]:
        """Do a step wholly or not at all; a step that fails parks the household as it was before.

        The core has no passing failures: an exception is impossible data or a fault of ours, and neither may stop the
        other households.
        """
        state, version, division = self._state, self._version, self._division
        made = self._made
        lengths = len(made.changes), len(made.transitions), len(made.findings)
        try:
            yield
        except NeedsHistory:
            raise
        except Exception as error:
            self._state, self._version, self._division = state, version, division
            del made.changes[lengths[0] :], made.transitions[lengths[1] :], made.findings[lengths[2] :]
            self._parked = f"{type(error).__name__} at {received.event.event_id if received else 'timer'}"
            made.newly_parked = True
            log.exception("a household is parked: it cannot be folded", household_id=self._row.household_id)

    def _status(self) -> str:
        if self._parked is not None:
            return "parked"
        if self._state.closed:
            return "closed"
        if self._state.enrolled:
            return "enrolled"
        return "area" if self._is_area else "waiting"


def _of_area(received: ReceivedEvent) -> bool:
    return EVENT_TYPES[received.event.type].area_event


def _check_writable(state: HouseholdState) -> None:
    """Fail while the step can still be undone, not when the row is written: a timer may lie past the calendar's end."""
    _ = state.next_due_on


def _state_of(stored: StateRow, history: Sequence[HouseholdEvent] | None, policies: Policies) -> HouseholdState:
    """Read the stored state, or rebuild one that this release cannot read. Raises NeedsHistory."""
    try:
        return decode(stored.body)
    except ValueError:
        if history is None:
            raise NeedsHistory from None
        log.warning("a stored state is rebuilt from the ledger", household_id=stored.household_id)
        if not history:
            return new_household()
        book = policies.along(stays_of(history, stored.division))
        return replay(history, history[-1].recorded_on, book).state


def _occasion(kind: Literal["event", "replay"], received: ReceivedEvent) -> Occasion:
    event = received.event
    return Occasion(kind, event.event_id, event.source, event.type, received.recorded_at)


def _number(grade: RiskGrade | None) -> int | None:
    return None if grade is None else int(grade)
