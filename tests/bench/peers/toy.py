"""The toy job, the same for every entrant: count a household's events, add up its amounts, grade it, tell of changes.

Only the standard library: every entrant's own environment can import it. `kafka_streams/` says the same in Java.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

THRESHOLDS_FEN = (400_000, 900_000, 1_300_000, 1_700_000)
"""From these running amounts on a household has grade 1, 2, 3 and 4; below the first it has 0."""

State = list[int]
"""[events counted, running amount in fen, grade]; a list, because every store here can keep one as it is."""

NOTHING_YET: State = [0, 0, 0]


def decode(value: bytes) -> tuple[str, int]:
    """Decode an event: its household, and its amount in fen (below 0: relief)."""
    return read(json.loads(value))


def read(event: dict[str, Any]) -> tuple[str, int]:
    """Take household and amount out of an event that the framework has decoded."""
    return event["subject"], event["data"]["amount_fen"]


def fold(household_id: str, state: State | None, amount_fen: int) -> tuple[State, dict[str, Any] | None]:
    """Count one event; return the new state, and the alert if the grade has changed. The old state stays as it is."""
    events, total_fen, old = state or NOTHING_YET
    events, total_fen = events + 1, total_fen + amount_fen
    new = bisect_right(THRESHOLDS_FEN, total_fen)
    alert = None if new == old else {"household_id": household_id, "events": events, "old": old, "new": new}
    return [events, total_fen, new], alert


def fold_all(
    stored: Mapping[str, State], amounts: Iterable[tuple[str, int]]
) -> tuple[dict[str, State], list[dict[str, Any]]]:
    """Count (household, amount in fen) in their order; return the states that have changed, and the alerts."""
    changed: dict[str, State] = {}
    alerts: list[dict[str, Any]] = []
    for household_id, amount_fen in amounts:
        before = changed.get(household_id) or stored.get(household_id)
        changed[household_id], alert = fold(household_id, before, amount_fen)
        if alert is not None:
            alerts.append(alert)
    return changed, alerts


def columns(states: Mapping[str, State]) -> tuple[list[str], list[int], list[int], list[int]]:
    """Lay states out as columns: households, events, amounts, grades."""
    rows = states.values()
    return list(states), [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def encode(alert: dict[str, Any]) -> bytes:
    """Encode an alert for the topic."""
    return json.dumps(alert, separators=(",", ":")).encode()
