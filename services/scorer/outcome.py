"""What folding a household amounts to: rows and messages, not yet written."""

from dataclasses import dataclass, field
from datetime import datetime

from services.scorer.store import LedgerRow, StateRow, TransitionRow
from shared.clock import to_rfc3339
from shared.grades import GradeChanged

_SINCE = " since "


@dataclass(slots=True)
class Outcome:
    """What became of a household.

    label: what became of its events (applied, waiting, parked). clue: (household_id, division) for `opened_clue`.
    findings: (household_id, code, identity of the event). parked_at: offset of the record at which it was parked; None
    too where time alone did it.
    """

    state: StateRow
    label: str
    ledger: list[LedgerRow] = field(default_factory=list)
    transitions: list[TransitionRow] = field(default_factory=list)
    changes: list[GradeChanged] = field(default_factory=list)
    findings: list[tuple[str, str, bytes]] = field(default_factory=list)
    opened_clue: bool = False
    closed_clue: bool = False
    newly_parked: bool = False
    parked_at: int | None = None

    @property
    def clue(self) -> tuple[str, str]:
        """The household that no register knows, and the division that its event named."""
        return (self.state.household_id, self.state.division)

    def tell(self, change: GradeChanged, trigger_identity: bytes | None) -> None:
        """Add a change of grade, as a message and as a row. trigger_identity: of the event that brought it."""
        self.changes.append(change)
        self.transitions.append(
            TransitionRow(
                household_id=change.household_id,
                version=change.version,
                old_grade=None if change.old_grade is None else int(change.old_grade),
                new_grade=int(change.new_grade),
                on_day=change.on_day,
                decided_at=change.decided_at,
                trigger_identity=trigger_identity,
                change=change.model_dump_json(),
            )
        )


def parked_reason(error: Exception, step: str, now: datetime) -> str:
    """Say what failed, at which event or other step, and since when; `read_parked_reason` takes it apart."""
    return f"{type(error).__name__} at {step}{_SINCE}{to_rfc3339(now)}"


def read_parked_reason(reason: str) -> tuple[str, str | None]:
    """Return what failed and where, and the time (RFC 3339) if the reason tells it."""
    what, found, since = reason.rpartition(_SINCE)
    return (what, since) if found else (reason, None)
