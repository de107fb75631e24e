"""One folding under way: how a household's state takes events and days."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from services.scorer.core.baseline import baseline_of
from services.scorer.core.cross_checks import implausible
from services.scorer.core.evidence import CAUSE_RANKS, NEVER, evidence_of
from services.scorer.core.grade import Decision
from services.scorer.core.history import Patch, about_of, is_refused, read_corrected, register_of, target_of
from services.scorer.core.judge import append, decision_of, judge, next_due, see, tidy
from services.scorer.core.state import HouseholdState, Registered
from services.scorer.core.status import MARKS, Status
from shared.events.catalogue import EVENT_TYPES, can_be_disputed
from shared.events.effects import About, Mark, Register
from shared.events.household_event import HouseholdEvent, Identity
from shared.events.payloads import Disability, Enrolled, Payload, SurveyResult
from shared.grades import RiskGrade
from shared.policy import PolicyBook


class Finding(NamedTuple):
    """Something about an event that a person should look at; the event itself was kept."""

    code: str
    event_id: str


class Change(NamedTuple):
    """The held grade changed. old is None at the first grade; event is None when only time passed."""

    on_day: date
    old: RiskGrade | None
    decision: Decision
    event: HouseholdEvent | None

    @property
    def new(self) -> RiskGrade:
        """The grade taken."""
        return self.decision.grade


class Folded(NamedTuple):
    """What came of folding, advancing or replaying.

    decision: None while waiting for enrolment, not yet judged, or closed. needs_replay: nothing was folded (the state
    is the one given); load the household's whole ledger with this event and replay it. changes: the held-grade changes,
    in order. recorded_on: the day the event was folded on; the ledger must keep this one.
    """

    state: HouseholdState
    decision: Decision | None
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    needs_replay: bool = False
    recorded_on: date | None = None


def enrols(event: HouseholdEvent) -> bool:
    """Whether an event enrols a household, readably."""
    return register_of(event) is Register.ENROLLED and read_corrected(event, ())[0] is not None


class Folding:
    """One folding under way.

    processed: identities taken so far, known only in a replay; live_after_ahead: earliest baseline day still to come
    in a replay, None outside one (an older baseline then needs a replay, since evidence it could revive is gone).
    """

    def __init__(self, draft: HouseholdState, policies: PolicyBook) -> None:
        self.draft = draft
        self.policies = policies
        self.changes: list[Change] = []
        self.findings: list[Finding] = []
        self.processed: set[Identity] | None = None
        self.live_after_ahead: int | None = None
        self.last_decision: Decision | None = None
        self.due_is_known = draft.held is not None

    def done(self, recorded_on: date | None) -> Folded:
        """Tidy up and hand over."""
        draft = self.draft
        self._tidy()
        draft.next_due = next_due(draft, self.policies)
        decision = self.last_decision
        fresh = decision is not None and decision.standing.day == draft.clock and decision.evidence is draft.evidence
        if not fresh or draft.held is None:
            decision = decision_of(draft, self.policies)
        return Folded(draft, decision, tuple(self.changes), tuple(self.findings), recorded_on=recorded_on)

    def _tidy(self) -> None:
        if not self.draft.register:
            return
        live_after = self.draft.live_after
        if self.live_after_ahead is not None:
            live_after = min(live_after, self.live_after_ahead)
        tidy(self.draft, self.policies, live_after)

    # --- time

    def bring_to(self, day: int) -> None:
        """Bring the household to 00:00 of a day."""
        draft = self.draft
        while (due := self._next_judgement()) is not None and due <= day:
            self._tick(due)
            see(draft, due)
            self._judge(due, None)
        self._tick(day)
        see(draft, day)

    def _next_judgement(self) -> int | None:
        if not self.due_is_known:
            # Before the first judgement the household's clock says nothing about what is due.
            waits = self.draft.register if self.draft.held is None else None
            closed = waits is not None and waits.closed
            self.draft.next_due = waits.starts_on if waits and not closed else next_due(self.draft, self.policies)
            self.due_is_known = True
        return self.draft.next_due

    def _tick(self, day: int) -> None:
        draft = self.draft
        if draft.clock is None:
            draft.clock = day
        elif day > draft.clock:
            if draft.below_line:
                draft.unstable_on = day - 1
            draft.clock = day

    def judge_now(self, event: HouseholdEvent) -> None:
        """Judge after an event, if the household is judged at all on this day."""
        draft = self.draft
        if draft.register and not draft.register.closed and draft.held is not None and draft.clock is not None:
            self._judge(draft.clock, event)
        else:
            self._tidy()

    def _judge(self, day: int, event: HouseholdEvent | None) -> None:
        self._tidy()
        old = self.draft.held.grade if self.draft.held else None
        decision, changed = judge(self.draft, day, self.policies)
        self.last_decision = decision
        self.due_is_known = False
        if changed:
            self.changes.append(Change(decision.on_day, old, decision, event))

    # --- events

    def take(self, event: HouseholdEvent, patches: tuple[Patch, ...], day: int) -> bool:
        """Take one event recorded on `day`; False: it cannot be folded, the ledger must be replayed."""
        draft = self.draft
        if draft.register is None:
            return self._take_unregistered(event, day)
        refused = is_refused(event)
        if not refused and self.processed is None and self._needs_replay(event):
            return False
        self.bring_to(day)
        if refused:
            self._find("REFUSED_FROM_SELF", event)
            return True
        self.due_is_known = False
        patches, refuted, verified_from = self._said_before(event, patches)
        if not refuted:
            self._apply(event, patches, verified_from)
        if self.processed is not None:
            self.processed.add(event.identity)
        self.judge_now(event)
        return True

    def _take_unregistered(self, event: HouseholdEvent, day: int) -> bool:
        draft = self.draft
        if not enrols(event):
            draft.waiting = True
            draft.clock = day
            return True
        if draft.waiting:
            return False
        self.enrol_from_the_start(event)
        self.bring_to(day)
        self.judge_now(event)
        return True

    def waiting_for(self, given: list[HouseholdEvent]) -> None:
        """After a replay that found no enrolment: the household waits for one, and nothing else is kept of it."""
        if self.draft.register is None and given:
            clock = max(event.recorded_on for event in given).toordinal()
            self.draft = HouseholdState()
            self.draft.waiting, self.draft.clock = True, clock

    def _needs_replay(self, event: HouseholdEvent) -> bool:
        about = about_of(event)
        if about is About.VERIFIED:
            target = target_of(event)
            return target is not None and self._place_of(target.identity) is None
        if about is not None:
            return target_of(event) is not None
        if event.type == "survey.result":
            payload, _ = read_corrected(event, self.draft.orphans.corrected.get(event.identity, ()))
            return isinstance(payload, SurveyResult) and payload.baseline.as_of.toordinal() < self.draft.live_after
        return False

    def _said_before(self, event: HouseholdEvent, patches: tuple[Patch, ...]) -> tuple[tuple[Patch, ...], bool, int]:
        """What was said about an event before it came: corrections, whether refuted, and from when verified."""
        orphans = self.draft.orphans
        if not orphans:
            return patches, False, NEVER
        identity = event.identity
        verified_from = orphans.verified.pop(identity, NEVER)
        refuted = identity in orphans.refuted
        orphans.refuted.discard(identity)
        early = orphans.corrected.pop(identity, ())
        if not can_be_disputed(event.type):
            return patches, False, verified_from
        return (*early, *patches), refuted, verified_from

    def _apply(self, event: HouseholdEvent, patches: tuple[Patch, ...], verified_from: int) -> None:
        event_type = EVENT_TYPES.get(event.type)
        if event_type is None:
            self._find("UNKNOWN_TYPE", event)
            return
        effect = event_type.effects[0]
        if isinstance(effect, About):
            self._verify(event)
        elif event_type.changes_something:
            payload, all_fitted = read_corrected(event, patches)
            if not all_fitted:
                self._find("CORRECTION_DOES_NOT_FIT", event)
            if payload is None:
                self._find("PAYLOAD_UNREADABLE", event)
            elif isinstance(effect, Register):
                self._register(event, effect, payload)
            else:
                self._take_payload(event, effect, payload, verified_from)

    def _take_payload(self, event: HouseholdEvent, effect: object, payload: Payload, verified_from: int) -> None:
        draft = self.draft
        occurred = event.occurred_on.toordinal()
        if isinstance(effect, Mark) and effect in MARKS:
            draft.statuses = (*draft.statuses, (occurred, MARKS.index(effect)))
        elif isinstance(effect, Mark) and effect in (Mark.MEASURE_ASSIGNED, Mark.MEASURE_DELIVERED):
            self._note_measure(effect, payload, occurred)
        elif type(payload) is SurveyResult:  # pydantic's isinstance takes ten times as long
            draft.surveys = (*draft.surveys, (occurred, baseline_of(payload.baseline)))
        else:
            append(draft, evidence_of(event, payload, verified_from), self.policies)
            draft.severely_disabled |= type(payload) is Disability and payload.grade in (1, 2)
            for code in implausible(event.type, payload):
                self._find(code, event)
        see(draft, draft.clock or 0)

    def _note_measure(self, effect: object, payload: Payload, occurred: int) -> None:
        draft = self.draft
        if payload.cause:
            draft.measure_causes |= 1 << CAUSE_RANKS[payload.cause]
        if effect is Mark.MEASURE_DELIVERED:
            draft.measure_from = min(occurred, NEVER if draft.measure_from is None else draft.measure_from)

    # --- events about events

    def _place_of(self, identity: Identity) -> int | None:
        for place, entry in enumerate(self.draft.entries):
            if (entry.source, entry.event_id) == identity:
                return place
        return None

    def _verify(self, event: HouseholdEvent) -> None:
        target = target_of(event)
        if target is None:
            self._find("PAYLOAD_UNREADABLE", event)
            return
        draft, occurred = self.draft, event.occurred_on.toordinal()
        place = self._place_of(target.identity)
        if place is not None:
            entry = draft.entries[place]
            verified = entry._replace(certain_from=min(entry.certain_from, occurred))
            draft.entries = (*draft.entries[:place], verified, *draft.entries[place + 1 :])
            draft.tidied = None
        elif self.processed is not None and target.identity not in self.processed:
            # Outside a replay the target was there, or the ledger would have been asked for; it has just run out.
            known = draft.orphans.verified
            known[target.identity] = min(occurred, known.get(target.identity, NEVER))

    # --- the register

    def enrol_from_the_start(self, event: HouseholdEvent) -> None:
        """Enrol a household that was not enrolled before; it is judged from its first day on, even if that is past."""
        payload, _ = read_corrected(event, ())
        if not isinstance(payload, Enrolled):
            self._find("PAYLOAD_UNREADABLE", event)
            return
        draft = self.draft
        self._enter(payload, self._first_day(payload))
        draft.clock = None
        draft.waiting = False

    def _first_day(self, payload: Enrolled) -> int:
        return (payload.enrolled_on or payload.baseline.as_of).toordinal()

    def _enter(self, payload: Enrolled, starts_on: int) -> None:
        draft = self.draft
        draft.register = Registered(payload.type, payload.alias, starts_on)
        draft.baseline = baseline_of(payload.baseline)
        draft.surveys = ()
        since = payload.monitored_on.toordinal() if payload.monitored_on else self._first_day(payload)
        draft.status = Status(payload.monitored, since if payload.monitored else None, False)

    def _register(self, event: HouseholdEvent, effect: Register, payload: Payload) -> None:
        draft = self.draft
        if effect is Register.CLOSED and draft.register:
            draft.register = draft.register._replace(closed=True)
            draft.held = draft.first_day = draft.unstable_on = None
            draft.below_line = False
        elif isinstance(payload, Enrolled) and draft.register and draft.clock is not None:
            if draft.register.closed:
                self._enter(payload, max(self._first_day(payload), draft.clock))
                self.bring_to(draft.clock)
            else:
                self._enrol_again(event, payload, draft.register)

    def _enrol_again(self, event: HouseholdEvent, payload: Enrolled, register: Registered) -> None:
        draft, baseline = self.draft, baseline_of(payload.baseline)
        if draft.baseline is None or baseline.as_of > draft.baseline.as_of:
            draft.surveys = (*draft.surveys, (event.occurred_on.toordinal(), baseline))
            draft.register = register._replace(alias=payload.alias or register.alias)
            see(draft, draft.clock or 0)
        elif baseline != draft.baseline:
            self._find("ENROLMENT_NOT_NEWER", event)

    def _find(self, code: str, event: HouseholdEvent) -> None:
        self.findings.append(Finding(code, event.event_id))
