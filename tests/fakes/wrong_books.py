"""What can be wrong with ledger, quarantine, grades and positions."""

from datetime import timedelta

from services.scorer.core.state_codec import decode, encode
from tests.chaos.checker.tables import LedgerRow, QuarantineRow
from tests.fakes.spoilt_run import Case, Proofs, Spoil, swap

# --- events in the books


def an_event_is_in_no_book(case: Case) -> Proofs:
    row = case.row()
    case.tables.ledger.remove(row)
    return {"lost": [row.event_id]}


def an_event_is_in_no_book_and_not_read_yet(case: Case) -> Proofs:
    row = case.row()
    case.tables.ledger.remove(row)
    case.tables.positions = [one._replace(next_offset=0) for one in case.tables.positions]
    return {"unready": [row.event_id], "misordered": [_next_of(case, row).event_id]}


def an_event_stands_twice(case: Case) -> Proofs:
    row = case.row()
    last = max(one.household_seq for one in case.tables.ledger if one.household_id == row.household_id)
    case.tables.ledger.append(row._replace(identity=b"another", household_seq=last + 1))
    return {"doubled": [row.event_id]}


def an_event_says_something_else(case: Case) -> Proofs:
    row = case.row()
    swap(case.tables.ledger, row, payload=b'{"self_pay_yuan":"99999.99"}')
    return {"phantom": [row.event_id]}


def an_event_was_never_sent(case: Case) -> Proofs:
    row = case.row()
    case.run.client = [line for line in case.run.client if line["id"] != row.event_id]
    return {"phantom": [row.event_id]}


def an_event_was_refused(case: Case) -> Proofs:
    row = case.row()
    for line in case.run.client:
        if line["id"] == row.event_id and line["op"] == "ok":
            line |= {"op": "fail", "status": 422, "problem": "invalid-event"}
    return {"phantom": [row.event_id]}


def what_was_refused_is_in_quarantine(case: Case) -> Proofs:
    line = next(line for line in case.run.client if line["op"] == "fail")
    kept = _kept(case)._replace(source=line["source"], event_id=line["id"], topic_offset=10_000)
    case.tables.quarantine.append(kept)
    return {"phantom": [line["id"]]}


def a_conflict_is_kept_nowhere(case: Case) -> Proofs:
    kept = _kept(case)
    case.tables.quarantine.remove(kept)
    return {"lost": [str(kept.event_id)]}


def what_ingest_took_is_in_quarantine_for_its_content(case: Case) -> Proofs:
    kept = _kept(case)
    swap(case.tables.quarantine, kept, reason="INVALID_PAYLOAD")
    return {"unexplained": [str(kept.event_id)]}


def poison_is_gone(case: Case) -> Proofs:
    case.tables.quarantine = [row for row in case.tables.quarantine if row.event_id]
    return {"lost": [f"record 3/{case.run.nemesis[0]['offset']}"]}


# --- their order


def two_events_have_changed_places(case: Case) -> Proofs:
    row = case.row()
    after = _next_of(case, row)
    swap(case.tables.ledger, row, household_seq=after.household_seq)
    swap(case.tables.ledger, after, household_seq=row.household_seq)
    return {"misordered": [row.event_id]}


def a_number_is_missing(case: Case) -> Proofs:
    row = case.row()
    for one in [one for one in case.tables.ledger if one.household_id == row.household_id]:
        if one.household_seq >= row.household_seq:
            swap(case.tables.ledger, one, household_seq=one.household_seq + 1)
    return {"misordered": [row.event_id]}


def an_event_was_answered_before_the_one_before_it_left(case: Case) -> Proofs:
    row = case.row()
    after = _next_of(case, row)
    case.answer(after.event_id)["at"] = case.answer(row.event_id, "invoke")["at"] - 0.001
    return {"misordered": [after.event_id]}


def an_earlier_copy_was_passed_over(case: Case) -> Proofs:
    row = case.row()
    case.answer(row.event_id)["offset"] -= 1
    return {"misordered": [row.event_id]}


# --- grades


def a_grade_is_another(case: Case) -> Proofs:
    state = case.state(case.row().household_id)
    swap(case.tables.states, state, grade=3 if state.grade != 3 else 2)
    return {"misgraded": [state.household_id]}


def an_amount_counts_otherwise_than_the_ledger_has_it(case: Case) -> Proofs:
    state = case.state(case.red().household_id)
    decoded = decode(state.body)
    decoded.baseline = decoded.baseline and decoded.baseline._replace(self_pay=((0, 100),))
    swap(case.tables.states, state, body=encode(decoded))
    return {"misgraded": [state.household_id]}


def an_event_counts_twice(case: Case) -> Proofs:
    state = case.state(case.red().household_id)
    decoded = decode(state.body)
    entry = decoded.entries[-1]
    decoded.entries = (*decoded.entries, entry)
    swap(case.tables.states, state, body=encode(decoded))
    return {"doubled": [entry.event_id]}


def the_count_of_changes_is_another(case: Case) -> Proofs:
    state = case.state(case.row().household_id)
    swap(case.tables.states, state, version=state.version + 1)
    return {"misgraded": [state.household_id]}


def a_day_comes_too_late(case: Case) -> Proofs:
    state = next(row for row in case.tables.states if row.grade == 0)
    decoded = decode(state.body)
    decoded.next_due = (decoded.next_due or 0) + 400
    swap(case.tables.states, state, body=encode(decoded), next_due_on=decoded.next_due_on)
    return {"misgraded": [state.household_id]}


def a_change_is_missing(case: Case) -> Proofs:
    red = case.red()
    case.tables.transitions.remove(red)
    return {"misgraded": [red.household_id]}


def a_change_stands_twice(case: Case) -> Proofs:
    last = max(row for row in case.tables.transitions if row.household_id == case.red().household_id)
    case.tables.transitions.append(last._replace(version=last.version + 1, old_grade=last.new_grade))
    return {"doubled": [f"{last.household_id}:{last.version + 1}"]}


def a_change_tells_another_score(case: Case) -> Proofs:
    red = case.red()
    red.change["figures"]["score"] += 1
    return {"misgraded": [red.household_id]}


def a_household_is_parked(case: Case) -> Proofs:
    state = case.state(case.row().household_id)
    swap(case.tables.states, state, status="parked", parked_reason="a bug")
    return {"unexplained": [state.household_id]}


# --- owners


def a_former_owner_wrote(case: Case) -> Proofs:
    last = max(case.tables.position_log, key=lambda write: write.position_log_id)
    at = last.written_at + timedelta(seconds=1)
    stale = last._replace(position_log_id=10_000, epoch=last.epoch - 1, written_at=at)
    case.tables.position_log.append(stale)
    return {"stale_owner": [str(stale)]}


def nobody_logged_who_wrote(case: Case) -> Proofs:
    case.tables.position_log = []
    return {"unexplained": ["chaos_position_log"]}


def _kept(case: Case) -> QuarantineRow:
    return next(row for row in case.tables.quarantine if row.reason == "CONFLICTING_DUPLICATE")


def _next_of(case: Case, row: LedgerRow) -> LedgerRow:
    place = (row.household_id, row.household_seq + 1)
    return next(one for one in case.tables.ledger if one[:2] == place)


WRONG_BOOKS: tuple[Spoil, ...] = (
    an_event_is_in_no_book,
    an_event_is_in_no_book_and_not_read_yet,
    an_event_stands_twice,
    an_event_says_something_else,
    an_event_was_never_sent,
    an_event_was_refused,
    what_was_refused_is_in_quarantine,
    a_conflict_is_kept_nowhere,
    what_ingest_took_is_in_quarantine_for_its_content,
    poison_is_gone,
    two_events_have_changed_places,
    a_number_is_missing,
    an_event_was_answered_before_the_one_before_it_left,
    an_earlier_copy_was_passed_over,
    a_grade_is_another,
    an_amount_counts_otherwise_than_the_ledger_has_it,
    an_event_counts_twice,
    the_count_of_changes_is_another,
    a_day_comes_too_late,
    a_change_is_missing,
    a_change_stands_twice,
    a_change_tells_another_score,
    a_household_is_parked,
    a_former_owner_wrote,
    nobody_logged_who_wrote,
)
