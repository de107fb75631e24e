"""An honest run to be spoilt, and handles on the things of it that can be."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.chaos.checker import Verdict, check
from tests.chaos.checker.evidence import TABLES_FILE
from tests.chaos.checker.tables import AlertRow, DeliveryRow, DigestRow, LedgerRow, StateRow, Tables, TransitionRow
from tests.fakes.honest_run import RUN, HonestRun, Line

Proofs = Mapping[str, list[str]]
"""What must be convicted: anomaly -> ids"""
RED = 4
Spoil = Callable[["Case"], Proofs]
"""Makes one thing wrong and says what must be convicted of it, and nothing else."""
Row = TypeVar("Row", bound=tuple[Any, ...])


@dataclass
class Case:
    """An honest run to be spoilt. changes: of the evidence."""

    run: HonestRun
    tables: Tables
    directory: Path
    changes: dict[str, Any] = field(default_factory=dict)

    async def judged(self) -> Verdict:
        """Judge what is left of it."""
        self.run.write(self.directory)
        self.tables.keep(self.directory / TABLES_FILE)
        return await check(self.run.evidence(self.directory, **self.changes))

    def row(self, event: str = "edu.cost", home: int = 2) -> LedgerRow:
        """A row of the ledger, by type and household."""
        return next(
            row for row in self.tables.ledger if row.type == event and row.household_id.endswith(f"-h{home:04d}")
        )

    def state(self, household: str) -> StateRow:
        """A household's state."""
        return next(row for row in self.tables.states if row.household_id == household)

    def red(self) -> TransitionRow:
        """The change to red of a household that had no alert before."""
        changes = self.tables.transitions
        opened = {alert.alert_id: alert for alert in self.tables.alerts if alert.revision == 1}
        homes = {alert.household_id for alert in opened.values()}
        return next(row for row in changes if row.new_grade == RED and row.old_grade == 0 and row.household_id in homes)

    def alert(self) -> AlertRow:
        """That household's alert."""
        return next(row for row in self.tables.alerts if row.household_id == self.red().household_id)

    def delivery(self, channel: str = "smtp") -> DeliveryRow:
        """One delivery of that alert."""
        alert_id = self.alert().alert_id
        return next(row for row in self.tables.deliveries if (row.alert_id, row.channel) == (alert_id, channel))

    def digest(self, channel: str) -> DigestRow:
        """The digest that names most."""
        return max(
            (row for row in self.tables.digests if row.channel == channel),
            key=lambda row: len(self.told(row.message_id)["alerts"]),
        )

    def told(self, message_id: str) -> Line:
        """The devices' line of a message."""
        return next(line for line in self.run.devices if line["message_id"] == message_id)

    def forget_a_digest(self) -> None:
        """Let a digest be on a device that the database, a backup since then, knows nothing of."""
        line = deepcopy(dict(self.told(self.digest("webhook").message_id)))
        self.run.devices.append(line | {"message_id": "msg_before_the_backup_was_restored"})
        self.run.nemesis.append({"at": line["at"] + 0.001, "kind": "restored", "run": RUN})

    def answer(self, event_id: str, op: str = "ok") -> Line:
        """The client's line of an answer."""
        return next(line for line in self.run.client if (line["id"], line["op"]) == (event_id, op))


def swap(rows: list[Row], old: Row, **new: Any) -> Row:
    """Replace one row by a changed one."""
    changed: Row = old._replace(**new)  # type: ignore[attr-defined]
    rows[rows.index(old)] = changed
    return changed
