"""Writes a household's state as compact bytes and reads it back; equal states give equal bytes.

Two lines: what every event may change, with the sums of the evidence, and the evidence itself, which an ordinary event
adds to and does not read. Whoever changes what something in here means must raise FORMAT. A state of a format that a
program does not know is rebuilt from the ledger; the format before this one is still read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json

from services.scorer.core.baseline import Baseline
from services.scorer.core.evidence import Evidence
from services.scorer.core.evidence_list import EvidenceList
from services.scorer.core.history import Orphans
from services.scorer.core.hysteresis import Held
from services.scorer.core.state import HouseholdState, Registered
from services.scorer.core.status import Status
from services.scorer.core.tally_codec import tallies_of, tallies_row
from shared.grades import RiskGrade

FORMAT = 3
_FORMAT_WITHOUT_SUMS = 2
_GRADES = tuple(RiskGrade)


class UnknownFormat(ValueError):
    """Bytes of a format that this program does not read; the household must be rebuilt from its ledger."""


def encode(state: HouseholdState) -> bytes:
    """Write a state as UTF-8: a JSON array that starts with the number of the format, and rows of JSON."""
    sources, rows = state.evidence.stored
    held = state.held
    # Plain tuples and numbers: the writer takes several times as long over named tuples and enumerations.
    head = [
        FORMAT,
        state.clock,
        int(state.waiting),
        state.register and tuple(state.register),
        state.baseline and tuple(state.baseline),
        tuple(state.status),
        state.statuses,
        [(occurred, tuple(baseline)) for occurred, baseline in state.surveys],
        state.measure_from,
        state.measure_causes,
        int(state.severely_disabled),
        sources,
        held and (int(held.grade), held.since, held.quiet_from),
        state.first_day,
        int(state.below_line),
        state.unstable_on,
        _orphans_row(state.orphans),
        state.next_due,
        state.tidied,
        tallies_row(state),
    ]
    return b"%b\n%b" % (to_json(head), rows)


def is_renewed(encoded: bytes) -> bool:
    """Whether a state that can be read is in this release's format."""
    return encoded.startswith(b"[%d," % FORMAT)


def decode(encoded: bytes) -> HouseholdState:
    """Read a state; raises UnknownFormat for the bytes of a format that is not read here."""
    head, _, rows = encoded.partition(b"\n")
    try:
        row = from_json(head)
    except ValueError as error:
        raise UnknownFormat("a household's state is not readable") from error
    number = row[0] if isinstance(row, list) and row else None
    if number == FORMAT:
        *first, tallies = row
        state = _state_of(first, EvidenceList.of_stored(row[11], rows))
        state.tallies = tallies_of(tallies, state) if tallies else None
        return state
    if number == _FORMAT_WITHOUT_SUMS:
        entries = row.pop(12)
        return _state_of(row, EvidenceList(_entries_of(entries, row[11])))
    raise UnknownFormat(f"a household's state is not in format {FORMAT}")


def _state_of(row: Sequence[Any], evidence: EvidenceList) -> HouseholdState:
    state = HouseholdState.__new__(HouseholdState)
    (_, state.clock, waiting, register, baseline, status, statuses, surveys, state.measure_from, state.measure_causes,
     disabled, _, held, state.first_day, below_line, state.unstable_on, orphans, state.next_due, tidied,
     ) = row  # fmt: skip
    state.severely_disabled = bool(disabled)
    state.waiting, state.below_line = bool(waiting), bool(below_line)
    state.register = Registered(*register) if register else None
    state.baseline = _baseline_of(baseline) if baseline else None
    state.status = Status(*status)
    state.statuses = tuple([(occurred, mark) for occurred, mark in statuses]) if statuses else ()
    state.surveys = tuple([(occurred, _baseline_of(surveyed)) for occurred, surveyed in surveys]) if surveys else ()
    state.evidence = evidence
    state.held = Held(_GRADES[held[0]], held[1], held[2]) if held else None
    state.orphans = _orphans_of(orphans)
    state.tidied = (tidied[0], tidied[1]) if tidied else None
    state.tallies = None
    return state


def _entries_of(rows: Sequence[Sequence[Any]], sources: Sequence[str]) -> tuple[Evidence, ...]:
    """The evidence as the format before this one has it."""
    return tuple(
        Evidence(event_id, sources[source], occurred, authority, certain_from, episode, tuple(map(tuple, effects)))
        for event_id, source, occurred, authority, certain_from, episode, *effects in rows
    )


def _baseline_of(row: Sequence[Any]) -> Baseline:
    *numbers, self_pay, elements, guarantees = row
    return Baseline._make([*numbers, tuple(map(tuple, self_pay)), tuple(elements), tuple(guarantees)])


def _orphans_row(orphans: Orphans) -> list[object]:
    if not orphans:
        return []
    row = [
        [[*identity, day] for identity, day in sorted(orphans.verified.items())],
        sorted(orphans.refuted),
        [[*identity, patches] for identity, patches in sorted(orphans.corrected.items(), key=lambda pair: pair[0])],
    ]
    # Patches are objects of a client's; their keys are put in order here.
    ordered: list[object] = json.loads(json.dumps(row, sort_keys=True))
    return ordered


def _orphans_of(row: Sequence[Any]) -> Orphans:
    if not row:
        return Orphans()
    verified, refuted, corrected = row
    return Orphans(
        verified={(source, event_id): day for source, event_id, day in verified},
        refuted={(source, event_id) for source, event_id in refuted},
        corrected={(source, event_id): tuple(patches) for source, event_id, patches in corrected},
    )
