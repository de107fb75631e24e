"""Writes a household's state as compact bytes and reads it back; equal states give equal bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from services.scorer.core.baseline import Baseline
from services.scorer.core.evidence import Evidence
from services.scorer.core.history import Orphans
from services.scorer.core.hysteresis import Held
from services.scorer.core.state import HouseholdState, Registered
from services.scorer.core.status import Status
from shared.grades import RiskGrade

FORMAT = 2


class UnknownFormat(ValueError):
    """Bytes of a format that this program does not read; the household must be rebuilt from its ledger."""


def encode(state: HouseholdState) -> bytes:
    """Write a state as UTF-8 JSON: an array that starts with the number of the format."""
    sources = sorted({entry.source for entry in state.entries})
    places = {source: place for place, source in enumerate(sources)}
    row = [
        FORMAT,
        state.clock,
        int(state.waiting),
        state.register,
        state.baseline,
        state.status,
        state.statuses,
        state.surveys,
        state.measure_from,
        state.measure_causes,
        int(state.severely_disabled),
        sources,
        [
            (event_id, places[source], occurred, authority, certain_from, episode, *effects)
            for event_id, source, occurred, authority, certain_from, episode, effects in state.entries
        ],
        state.held,
        state.first_day,
        int(state.below_line),
        state.unstable_on,
        _orphans_row(state.orphans),
        state.next_due,
        state.tidied,
    ]
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def decode(encoded: bytes) -> HouseholdState:
    """Read a state; raises UnknownFormat for another format's bytes."""
    try:
        row = json.loads(encoded)
    except ValueError as error:
        raise UnknownFormat("a household's state is not readable") from error
    if not isinstance(row, list) or not row or row[0] != FORMAT:
        raise UnknownFormat(f"a household's state is not in format {FORMAT}")
    return _state_of(row)


def _state_of(row: Sequence[Any]) -> HouseholdState:
    state = HouseholdState()
    (_, state.clock, waiting, register, baseline, status, statuses, surveys, state.measure_from,
     state.measure_causes, disabled, sources, entries, held, state.first_day, below_line, state.unstable_on, orphans,
     state.next_due, tidied) = row  # fmt: skip
    state.severely_disabled = bool(disabled)
    state.waiting, state.below_line = bool(waiting), bool(below_line)
    state.register = Registered(*register) if register else None
    state.baseline = _baseline_of(baseline) if baseline else None
    state.status = Status(*status)
    state.statuses = tuple((occurred, mark) for occurred, mark in statuses)
    state.surveys = tuple((occurred, _baseline_of(surveyed)) for occurred, surveyed in surveys)
    state.entries = _entries_of(entries, sources)
    state.held = Held(RiskGrade(held[0]), held[1], held[2]) if held else None
    state.orphans = _orphans_of(orphans)
    state.tidied = (tidied[0], tidied[1]) if tidied else None
    return state


def _entries_of(rows: Sequence[Sequence[Any]], sources: Sequence[str]) -> tuple[Evidence, ...]:
    found = []
    for event_id, source, occurred, authority, certain_from, episode, *effects in rows:
        values = (event_id, sources[source], occurred, authority, certain_from, episode, tuple(map(tuple, effects)))
        found.append(tuple.__new__(Evidence, values))  # what Evidence._make does, without its call
    return tuple(found)


def _baseline_of(row: Sequence[Any]) -> Baseline:
    *numbers, self_pay, elements, guarantees = row
    return Baseline._make([*numbers, tuple(map(tuple, self_pay)), tuple(elements), tuple(guarantees)])


def _orphans_row(orphans: Orphans) -> list[object]:
    if not orphans:
        return []
    return [
        [[*identity, day] for identity, day in sorted(orphans.verified.items())],
        sorted(orphans.refuted),
        [[*identity, patches] for identity, patches in sorted(orphans.corrected.items(), key=lambda pair: pair[0])],
    ]


def _orphans_of(row: Sequence[Any]) -> Orphans:
    if not row:
        return Orphans()
    verified, refuted, corrected = row
    return Orphans(
        verified={(source, event_id): day for source, event_id, day in verified},
        refuted={(source, event_id) for source, event_id in refuted},
        corrected={(source, event_id): tuple(patches) for source, event_id, patches in corrected},
    )
