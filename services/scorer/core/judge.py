"""Judges a household on a day, and finds the next day that needs judging."""

from __future__ import annotations

from datetime import date

from services.scorer.core.baseline import Baseline
from services.scorer.core.evidence import NEVER, SELF_REPORT, VISIT, Evidence
from services.scorer.core.grade import Decision, Raw, raw_of, view_of
from services.scorer.core.hysteresis import Held, next_held
from services.scorer.core.retention import retained, tidy_until, without_old_reports
from services.scorer.core.state import HouseholdState, Registered, Tallies
from services.scorer.core.status import after
from services.scorer.core.tally import tally_up
from shared.policy import Numbers, Policy, PolicyBook


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
    return _decision(draft, day, policy, raw, draft.held), changed


def decision_of(state: HouseholdState, policies: PolicyBook) -> Decision | None:
    """The decision that stands at the household's clock; None while waiting, not yet judged, or closed."""
    if state.held is None or state.clock is None or state.closed:
        return None
    policy = policies.on_ordinal(state.clock)
    raw = _raw(state, state.clock, policy.numbers)
    return _decision(state, state.clock, policy, raw, state.held)


def see(draft: HouseholdState, day: int) -> None:
    """Take in surveys and status events that occur up to `day`; what is later in order waits behind one to come."""
    while draft.statuses and draft.statuses[0][0] <= day:
        occurred, mark = draft.statuses[0]
        draft.status = after(draft.status, mark, occurred)
        draft.statuses = draft.statuses[1:]
    visible = [place for place, (occurred, _) in enumerate(draft.surveys) if occurred <= day]
    if visible:
        draft.baseline = draft.surveys[visible[-1]][1]
        draft.surveys = draft.surveys[visible[-1] + 1 :]
        draft.tallies = None


def tidy(draft: HouseholdState, policies: PolicyBook, live_after: int) -> None:
    """Let go of evidence that no later day can need."""
    day, windows = draft.clock, policies.longest
    if day is None or (draft.tidied and day < draft.tidied[0] and live_after == draft.tidied[1]):
        return
    kept = without_old_reports(retained(draft.entries, day, live_after, windows), day, windows)
    if kept is not draft.entries:
        draft.entries, draft.tallies = kept, None
    draft.tidied = (tidy_until(kept, day, windows), live_after)


def append(draft: HouseholdState, entry: Evidence, policies: PolicyBook) -> None:
    """Add an event that is later in order than all others."""
    day, windows = draft.clock or 0, policies.longest
    if draft.tallies is not None:
        draft.tallies = _with(draft, entry, policies.on_ordinal(day).numbers)
    draft.entries = (*draft.entries, entry)
    if draft.tidied is not None:
        until, live_after = draft.tidied
        stays = not _hides_others(entry) and retained((entry,), day, live_after, windows)
        draft.tidied = (min(until, tidy_until((entry,), day, windows)), live_after) if stays else None


def next_due(draft: HouseholdState, policies: PolicyBook) -> int | None:
    """Earliest day after the clock on which the result can change with no event."""
    register, day = draft.register, draft.clock
    if register is None or register.closed or day is None:
        return None
    if draft.held is None:
        return register.starts_on
    numbers = policies.on_ordinal(day).numbers
    tallies = _tallies(draft, day, numbers)
    due = [occurred for occurred, _ in (*draft.statuses, *draft.surveys)]
    for tally in {tallies.everything, tallies.certain}:
        due.append(tally.due)
        due += tally.guarantees.next_overdue(day, numbers.overdue_days)
    due.append(policies.next_change(day) or NEVER)
    if draft.held.quiet_from is not None:
        due.append(draft.held.quiet_from + numbers.quiet_days)
    earliest = min([candidate for candidate in due if candidate > day], default=NEVER)
    return None if earliest == NEVER else earliest


def _tallies(state: HouseholdState, day: int, numbers: Numbers) -> Tallies:
    if state.tallies is None or not state.tallies.holds_on(day, numbers):
        state.tallies = _added_up(state, _baseline(state), day, numbers)
    return state.tallies


def _with(state: HouseholdState, entry: Evidence, numbers: Numbers) -> Tallies | None:
    """Sums with one more event, where it can simply be added; None: they must be worked out again."""
    tallies, day, baseline = state.tallies, state.clock, state.baseline
    if tallies is None or day is None or baseline is None or entry.episode or _hides_others(entry):
        return None
    if not tallies.holds_on(day, numbers):
        return None
    everything = tallies.everything.copy()
    everything.add((entry,), day, baseline.as_of, numbers)
    if not entry.certain_from and tallies.certain is tallies.everything:
        return Tallies(everything, everything, numbers)
    certain = tallies.certain.copy()
    if entry.certain_from <= day:
        certain.add((entry,), day, baseline.as_of, numbers)
    else:
        certain.due = min(certain.due, entry.certain_from)
    return Tallies(everything, certain, numbers)


def _hides_others(entry: Evidence) -> bool:
    """Whether earlier visits or reports stop counting because of this one."""
    return bool(entry.effects) and entry.effects[0][0] in (VISIT, SELF_REPORT)


def _added_up(state: HouseholdState, baseline: Baseline, day: int, numbers: Numbers) -> Tallies:
    everything = tally_up(state.entries, baseline, day, numbers, certain_only=False)
    if not any([entry.certain_from for entry in state.entries]):  # noqa: C419  a list is quicker here
        return Tallies(everything, everything, numbers)
    certain = tally_up(state.entries, baseline, day, numbers, certain_only=True)
    return Tallies(everything, certain, numbers)


def _raw(state: HouseholdState, day: int, numbers: Numbers) -> Raw:
    tallies = _tallies(state, day, numbers)
    baseline, kind, status = _baseline(state), _register(state).kind, state.status_on(day)
    everything = view_of(tallies.everything, baseline, status, kind, day, numbers)
    if tallies.certain is tallies.everything:
        return raw_of(everything, everything)
    return raw_of(everything, view_of(tallies.certain, baseline, status, kind, day, numbers))


def _decision(state: HouseholdState, day: int, policy: Policy, raw: Raw, held: Held) -> Decision:
    return Decision(date.fromordinal(day), held, raw, _register(state).kind, state.entries, policy)


def _baseline(state: HouseholdState) -> Baseline:
    if state.baseline is None:
        raise ValueError("a household without a baseline cannot be judged")
    return state.baseline


def _register(state: HouseholdState) -> Registered:
    if state.register is None:
        raise ValueError("a household that nobody enrolled cannot be judged")
    return state.register
