"""The scorer's rows: ledger, states, transitions, quarantine, requests. All its SQL is in this package.

reading: households and their ledgers. scoring: the transaction of a partition batch. quarantine, refolds: what an
operator's commands read and write.
"""

from services.scorer.store.rows import KnownEvent, LedgerRow, ParkedHousehold, QuarantineRow, StateRow, TransitionRow
from services.scorer.store.scoring import ScorerStore, ScorerTransaction

__all__ = [
    "KnownEvent",
    "LedgerRow",
    "ParkedHousehold",
    "QuarantineRow",
    "ScorerStore",
    "ScorerTransaction",
    "StateRow",
    "TransitionRow",
]
