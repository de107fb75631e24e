"""One household and its events of a batch: what the core decides, put into rows and messages. No I/O."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import Literal

from services.scorer.core.grade import Decision
from services.scorer.core.household import Change, HouseholdState, advance, fold, new_household, replay
from services.scorer.core.state_codec import decode, encode
from services.scorer.fold_anew import check_writable, findings_of, fold_anew, status_of
from services.scorer.grade_change import Household, Occasion, closing, grade_change
from services.scorer.outcome import Outcome, parked_reason
from services.scorer.read_record import ReceivedEvent
from services.scorer.residence import division_from, stays_of
from services.scorer.store import LedgerRow, StateRow
from shared.clock import day_of
from shared.events.catalogue import EVENT_TYPES
from shared.events.household_event import HouseholdEvent
from shared.grades import RiskGrade
from shared.logs import get_logger
from shared.policy import Policies, PolicyBook

log = get_logger(__name__)


class NeedsHistory(Exception):
    """An event changes the past of its household: its ledger must be loaded and folded from nothing."""


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
    work.make_readable()
    for received in events:
        work.take(received)
    return work.outcome()


def tick_household(
    stored: StateRow, today: date, history: Sequence[HouseholdEvent] | None, now: datetime, policies: Policies
) -> Outcome:
    """Bring a household to 00:00 of today. Raises NeedsHistory as `fold_household` does."""
    work = _Work(stored, None, now, policies, history)
    work.make_readable()
    work.tick(today)
    return work.outcome()


def refold_household(stored: StateRow, history: Sequence[HouseholdEvent], now: datetime, policies: Policies) -> Outcome:
    """Fold a household anew from its ledger, and take it out of its parking place if it was there.

    Raises whatever the core raises for a history that cannot be folded; the household is to stay as it is then.
    """
    work = _Work(stored, None, now, policies, history)
    work.fold_anew()
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
        self._state, self._unread = _state_of(stored)
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

    def make_readable(self) -> None:
        """Rebuild from the ledger a state that another release has written in a format of its own.

        Raises NeedsHistory. A parked household is left alone: only a person's word takes it out.
        """
        if self._unread is None or self._parked is not None:
            return
        if self._so_far is None:
            raise NeedsHistory
        log.warning("a stored state is rebuilt from the ledger", household_id=self._row.household_id)
        with self._parking_at("rebuild"):
            self.fold_anew()

    def fold_anew(self) -> None:
        """Put what the ledger says in the place of what is stored, and tell where the two differ."""
        history = self._so_far or []
        anew = fold_anew(history, self._row.division, self._state.clock_on, self._policies)
        told = (self._row.grade, self._division)
        self._state, self._division = anew.folded.state, anew.division
        self._parked = self._unread = None
        decision = anew.folded.decision
        if decision is not None and (int(decision.grade), anew.division) != told:
            self._note(_grade(self._row.grade), decision, Occasion("replay"), None)
        if (held := _grade(self._row.grade)) is not None and self._state.closed:
            self._note_closing(held, Occasion("replay"), None)
        self._made.findings.extend(findings_of(anew.folded, self._row.household_id, history))

    def take(self, received: ReceivedEvent) -> None:
        """Fold one event, or park the household at it."""
        before = self._grade
        recorded_on = max(received.event.recorded_on, self._state.clock_on or date.min)
        if self._parked is None:
            with self._parking_at(received.event.event_id):
                recorded_on = self._fold(received) or recorded_on
            if self._parked is not None:
                self._made.parked_at = received.offset
        if self._so_far is not None:
            self._so_far.append(replace(received.event, recorded_on=recorded_on))
        self._seq += 1
        self._made.ledger.append(LedgerRow(received, self._seq, recorded_on, before, self._grade))

    def tick(self, today: date) -> None:
        """Let time pass without an event."""
        if self._parked is not None:
            return
        with self._parking_at("timer"):
            folded = advance(self._state, today, self._book)
            self._state = folded.state
            self._note_changes(folded.changes, None)
            check_writable(self._state)

    def outcome(self) -> Outcome:
        """Put everything together."""
        made, state, row = self._made, self._state, self._row
        made.state = StateRow(
            row.household_id,
            self._division,
            # What cannot be read stays as it is.
            state.alias if self._unread is None else row.alias,
            status_of(state, parked=self._parked is not None, is_area=self._is_area),
            self._grade,
            self._version,
            self._seq,
            state.next_due_on if self._unread is None else row.next_due_on,
            self._parked,
            encode(state) if self._unread is None else self._unread,
            row.topic_partition,
        )
        made.label = made.state.status if made.state.status in ("waiting", "parked") else "applied"
        made.opened_clue = made.state.status == "waiting" and not self._was_known
        made.closed_clue = state.enrolled and not self._was_enrolled and self._was_known
        return made

    def _fold(self, received: ReceivedEvent) -> date | None:
        before, division = self._book, self._division
        held, was_closed, told = self._state.grade, self._state.closed, len(self._made.changes)
        self._division = self._division_after(received)
        book = before if self._division == division else self._book
        folded = fold(self._state, received.event, book)
        if folded.needs_replay:
            decision = self._replay(received, folded.recorded_on, "replay")
        elif book is not before and self._state.enrolled:
            # 00:00 of today was judged by the policy that was left; the day belongs to the one that is entered.
            decision = self._replay(received, folded.recorded_on, "event")
        else:
            self._state, decision = folded.state, folded.decision
            self._note_changes(folded.changes, received)
            self._made.findings.extend(findings_of(folded, received.household_id, [received.event]))
        if decision is not None and self._division != division and len(self._made.changes) == told:
            # Told although the grade stays: who looks after the household is now somebody else.
            self._note(decision.grade, decision, _occasion("event", received), received.identity)
        # On the way to this day the grade may have changed, or come, once more.
        last = self._made.changes[-1].new_grade if len(self._made.changes) > told else held
        if last is not None and self._state.closed and not was_closed:
            self._note_closing(last, _occasion("event", received), received.identity)
        check_writable(self._state)
        return folded.recorded_on

    @property
    def _grade(self) -> int | None:
        """The held grade, or while the state cannot be read the one that was stored last."""
        return _number(self._state.grade) if self._unread is None else self._row.grade

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
        self._made.findings.extend(findings_of(folded, received.household_id, ledger))
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
        change = grade_change(self._household, self._version, old, decision, occasion, self._now)
        self._made.tell(change, trigger_identity)

    def _note_closing(self, old: RiskGrade, occasion: Occasion, trigger_identity: bytes | None) -> None:
        self._version += 1
        day = self._state.clock_on or day_of(self._now)
        change = closing(self._household, self._version, old, self._book.on(day), occasion, day, self._now)
        self._made.tell(change, trigger_identity)

    @property
    def _household(self) -> Household:
        return Household(self._row.household_id, self._division, self._state.alias)

    def _division_after(self, received: ReceivedEvent) -> str:
        return division_from(received.event) or self._division

    @contextmanager
    def _parking_at(self, step: str) -> Iterator[None]:
        """Do a step wholly or not at all; a step that fails parks the household as it was before.

        The core has no passing failures: an exception is impossible data or a fault of ours, and neither may stop the
        other households.
        """
        state, version, division, unread = self._state, self._version, self._division, self._unread
        made = self._made
        lengths = len(made.changes), len(made.transitions), len(made.findings)
        try:
            yield
        except NeedsHistory:
            raise
        except Exception as error:
            self._state, self._version, self._division, self._unread = state, version, division, unread
            del made.changes[lengths[0] :], made.transitions[lengths[1] :], made.findings[lengths[2] :]
            self._parked = parked_reason(error, step, self._now)
            made.newly_parked = True
            log.exception("a household is parked: it cannot be folded", household_id=self._row.household_id)


def _of_area(received: ReceivedEvent) -> bool:
    return EVENT_TYPES[received.event.type].area_event


def _state_of(stored: StateRow) -> tuple[HouseholdState, bytes | None]:
    """Read the stored state; one that this release cannot read comes back as bytes, beside an empty state."""
    try:
        return decode(stored.body), None
    except ValueError:
        return new_household(), stored.body


def _occasion(kind: Literal["event", "replay"], received: ReceivedEvent) -> Occasion:
    event = received.event
    return Occasion(kind, event.event_id, event.source, event.type, received.recorded_at)


def _number(grade: RiskGrade | None) -> int | None:
    return None if grade is None else int(grade)


def _grade(number: int | None) -> RiskGrade | None:
    return None if number is None else RiskGrade(number)
