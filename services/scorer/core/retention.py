"""Retention: which evidence a household's state still needs. What no later day can need is let go.

The answer depends only on the history and the day, never on the path by which the state came about;
so a state that was folded event by event equals one that was rebuilt from the ledger, byte for byte.
"""

from __future__ import annotations

from services.scorer.core import evidence as row
from services.scorer.core.evidence import NEVER, Evidence
from shared.policy import Windows


def retained(entries: tuple[Evidence, ...], day: int, live_after: int, windows: Windows) -> tuple[Evidence, ...]:
    """Keep what can still matter after `day`, in order; live_after: earliest day of any baseline in sight."""
    kept: list[Evidence] = []
    visited = reported = False
    for entry in reversed(entries):
        code = entry.effects[0][0] if entry.effects else row.DEBT
        if code == row.VISIT:
            keep = not visited and day < entry.occurred + windows.visit
            visited = visited or entry.occurred <= day
        elif code == row.SELF_REPORT:
            # A visit answers every report before it; a later report that is beyond doubt replaces it.
            keep = not visited and not reported
            reported = reported or (entry.occurred <= day and entry.certain_from <= day)
        elif code == row.CONCERN:
            keep = day < entry.occurred + windows.concern
        elif code == row.ASSESSMENT:
            keep = day < entry.occurred + windows.assessment
        else:
            keep = entry.occurred > live_after and _still_counts(entry, day, windows)
        if keep:
            kept.append(entry)
    if len(kept) == len(entries):
        return entries
    kept.reverse()
    return tuple(kept)


def without_old_reports(entries: tuple[Evidence, ...], day: int, windows: Windows) -> tuple[Evidence, ...]:
    """Drop the oldest own reports once they are too old to count and hide no younger one."""
    for place, entry in enumerate(entries):
        if entry.effects and entry.effects[0][0] == row.SELF_REPORT:
            if day < entry.occurred + windows.self_report:
                break
            return without_old_reports(entries[:place] + entries[place + 1 :], day, windows)
    return entries


def tidy_until(entries: tuple[Evidence, ...], day: int, windows: Windows) -> int:
    """First day after `day` on which some of these may be let go, or come to replace others."""
    until = NEVER
    for entry in entries:
        for turn in _turns(entry, windows):
            if day < turn < until:
                until = turn
    return until


def _turns(entry: Evidence, windows: Windows) -> tuple[int, ...]:
    code, occurred = entry.effects[0][0] if entry.effects else row.DEBT, entry.occurred
    if code <= row.ILLNESS:
        return (occurred + windows.money,)
    if code == row.VISIT:
        return occurred, occurred + windows.visit
    if code == row.SELF_REPORT:
        return occurred, entry.certain_from, occurred + windows.self_report
    return (occurred + (windows.concern if code == row.CONCERN else windows.assessment),)


def _still_counts(entry: Evidence, day: int, windows: Windows) -> bool:
    if entry.episode:
        return True  # it may silence other reports of its episode, even when its own amount has run out
    if day < entry.occurred + windows.money:
        return bool(entry.effects)
    return any(
        effect[4] if effect[0] <= row.RELIEF else row.BREACH <= effect[0] <= row.STRUCTURE for effect in entry.effects
    )
