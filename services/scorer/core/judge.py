"""Judges a household on a day, and finds the next day that needs judging."""

from __future__ import annotations

from datetime import date

from services.scorer.core.baseline import Baseline
from services.scorer.core.evidence import ILLNESS, NEVER, SELF_REPORT, VISIT, Evidence
from services.scorer.core.evidence_list import EvidenceList
from services.scorer.core.grade import Decision, Raw, raw_of, view_of
from services.scorer.core.hysteresis import Held, next_held
from services.scorer.core.retention import retained, tidy_until, without_old_reports
from services.scorer.core.state import HouseholdState, Registered
from services.scorer.core.status import after
from services.scorer.core.tally import Tallies, tally_up
from shared.policy import CountedDays, Numbers, Policy, PolicyBook, Windows


def judge(draft: HouseholdState, day: int, policies: PolicyBook) -> tuple[Decision, bool]:
    """Judge a registered, open household on a day and take the outcome into its held grade; says if that changed."""
    policy = policies.on_ordinal(day)
    raw = _raw(draft, day, policy.numbers)
    old = draft.held
    draft.held = next_held(old, raw.grade, raw.view.parts.score, day, policy.numbers)
    draft.below_line = raw.view.standing.quantities.below_line
    if draft.first_day is None:
        draft.first_day = day
    changed = old is None or old.grade != draft.held.grade
    return _decision(draft, day, draft.held, raw, policy), changed


def decision_of(state: HouseholdState, policies: PolicyBook) -> Decision | None:
    """The decision that stands at the household's clock; None while waiting, not yet judged, or closed."""
    if state.held is None or state.clock is None or state.closed:
        return None
    policy = policies.on_ordinal(state.clock)
    raw = _raw(state, state.clock, policy.numbers)
    return _decision(state, state.clock, state.held, raw, policy)


def see(draft: HouseholdState, day: int) -> None:
    """Take in surveys and status events that occur up to `day`; what is later in order waits behind one to come."""
    while draft.statuses and draft.statuses[0][0] <= day:
        occurred, mark = draft.statuses[0]
        draft.status = after(draft.status, mark, occurred)
        draft.statuses = draft.statuses[1:]
    visible = draft.surveys and [place for place, (occurred, _) in enumerate(draft.surveys) if occurred <= day]
    if visible:
        draft.baseline = draft.surveys[visible[-1]][1]
        draft.surveys = draft.surveys[visible[-1] + 1 :]


def tidy(draft: HouseholdState, policies: PolicyBook, live_after: int) -> None:
    """Let go of evidence that no later day can need."""
    day, windows = draft.clock, policies.longest
    if day is None or (draft.tidied and day < draft.tidied[0] and live_after == draft.tidied[1]):
        return
    entries = draft.entries
    kept = without_old_reports(retained(entries, day, live_after, windows), day, windows)
    if kept is not entries:
        draft.entries = kept
    draft.tidied = (tidy_until(kept, day, windows), live_after)


def append(draft: HouseholdState, entry: Evidence, policies: PolicyBook) -> None:
    """Add an event that is later in order than all others."""
    day = draft.clock or 0
    alone = _stands_alone(draft.evidence, entry)
    evidence = draft.evidence.with_one(entry)
    draft.tallies = _with(draft, entry, evidence, policies.on_ordinal(day).numbers.counted) if alone else None
    draft.evidence = evidence
    if draft.tidied is not None:
        draft.tidied = _tidied_with(draft.tidied, entry, day, policies.longest) if alone else None


def next_due(draft: HouseholdState, policies: PolicyBook) -> int | None:
    """Earliest day after the clock on which the result can change with no event."""
    register, day = draft.register, draft.clock
    if register is None or register.closed or day is None:
        return None
    if draft.held is None:
        return register.starts_on
    numbers = policies.on_ordinal(day).numbers
    tallies = _tallies(draft, day, numbers.counted)
    everything, certain = tallies.everything, tallies.certain
    due = [everything.due, everything.guarantees.next_overdue(day, numbers.overdue_days)]
    if certain is not everything:
        due += [certain.due, certain.guarantees.next_overdue(day, numbers.overdue_days)]
    if draft.statuses or draft.surveys:
        due += [occurred for occurred, _ in (*draft.statuses, *draft.surveys)]
    if (next_policy := policies.next_change(day)) is not None:
        due.append(next_policy)
    if draft.held.quiet_from is not None:
        due.append(draft.held.quiet_from + numbers.quiet_days)
    earliest = min([candidate for candidate in due if candidate > day], default=NEVER)
    return None if earliest == NEVER else earliest


def _tallies(state: HouseholdState, day: int, counted: CountedDays) -> Tallies:
    tallies = state.tallies
    if tallies is None or not tallies.hold(state.evidence, state.baseline, day, counted):
        state.tallies = tallies = _added_up(state, _baseline(state), day, counted)
    return tallies


def _with(state: HouseholdState, entry: Evidence, evidence: EvidenceList, counted: CountedDays) -> Tallies | None:
    """Sums with one more event, which stands alone; None: they must be worked out again."""
    tallies, day, baseline = state.tallies, state.clock, state.baseline
    if tallies is None or day is None or baseline is None or not tallies.hold(state.evidence, baseline, day, counted):
        return None
    everything = tallies.everything.copy()
    everything.add((entry,), day, baseline.as_of, counted)
    if not entry.certain_from and tallies.certain is tallies.everything:
        return Tallies(everything, everything, evidence, baseline, counted)
    certain = tallies.certain.copy()
    if entry.certain_from <= day:
        certain.add((entry,), day, baseline.as_of, counted)
    else:
        certain.due = min(certain.due, entry.certain_from)
    return Tallies(everything, certain, evidence, baseline, counted)


def _stands_alone(evidence: EvidenceList, entry: Evidence) -> bool:
    """Whether a new entry hides none of the others and is hidden by none, so that it can simply be added.

    Visits and own reports replace one another, and so do reports of one episode.
    """
    if entry.effects and entry.effects[0][0] in (VISIT, SELF_REPORT):
        return not evidence.may_have_effect(VISIT, SELF_REPORT)
    return not entry.episode or not evidence.may_have_episode(entry.episode)


def _tidied_with(tidied: tuple[int, int], entry: Evidence, day: int, windows: Windows) -> tuple[int, int] | None:
    """Up to when nothing is to be let go of, with one entry more, which stands alone; None: there may be something."""
    until, live_after = tidied
    ends = entry.occurred + windows.money
    if entry.effects and entry.effects[0][0] <= ILLNESS and entry.occurred > live_after and day < ends:
        # What most events are: it counts until its window ends, and is looked at again then.
        return (min(until, ends), live_after)
    if without_old_reports(retained((entry,), day, live_after, windows), day, windows):
        return (min(until, tidy_until((entry,), day, windows)), live_after)
    return None


def _added_up(state: HouseholdState, baseline: Baseline, day: int, counted: CountedDays) -> Tallies:
    entries = state.entries
    certain = everything = tally_up(entries, baseline, day, counted, certain_only=False)
    if any([entry.certain_from for entry in entries]):  # noqa: C419  a list is quicker here
        certain = tally_up(entries, baseline, day, counted, certain_only=True)
    return Tallies(everything, certain, state.evidence, baseline, counted)


def _raw(state: HouseholdState, day: int, numbers: Numbers) -> Raw:
    tallies = _tallies(state, day, numbers.counted)
    baseline, kind, status = _baseline(state), _register(state).kind, state.status_on(day)
    everything = view_of(tallies.everything, baseline, status, kind, day, numbers)
    if tallies.certain is tallies.everything:
        return raw_of(everything, everything)
    return raw_of(everything, view_of(tallies.certain, baseline, status, kind, day, numbers))


def _decision(state: HouseholdState, day: int, held: Held, raw: Raw, policy: Policy) -> Decision:
    return Decision(date.fromordinal(day), held, raw, _register(state).kind, state.evidence, policy)


def _baseline(state: HouseholdState) -> Baseline:
    if state.baseline is None:
        raise ValueError("a household without a baseline cannot be judged")
    return state.baseline


def _register(state: HouseholdState) -> Registered:
    if state.register is None:
        raise ValueError("a household that nobody enrolled cannot be judged")
    return state.register
