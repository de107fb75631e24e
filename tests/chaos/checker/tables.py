"""What stands in the tables, read once, in one snapshot, directly from the database."""

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import asyncpg

from tests.chaos.checker.journals import Content, Identity
from tests.chaos.checker.position_log import PositionWrite

EVENTS_TOPIC = "household.events.v1"


class LedgerRow(NamedTuple):
    """One row of event_ledger."""

    household_id: str
    household_seq: int
    identity: bytes
    source: str
    event_id: str
    type: str
    source_class: str
    episode: str | None
    division: str
    occurred_on: date
    recorded_on: date
    recorded_at: datetime
    payload: bytes
    topic_partition: int
    topic_offset: int
    grade_before: int | None
    grade_after: int | None

    @property
    def who(self) -> Identity:
        """(source, event id)."""
        return (self.source, self.event_id)

    @property
    def content(self) -> Content:
        """What it says."""
        data = json.loads(self.payload)
        told = (self.household_id, self.type, self.source_class, self.episode or None, self.division, self.occurred_on)
        return Content(*told, data)


class StateRow(NamedTuple):
    """One row of household_state."""

    household_id: str
    division: str
    status: str
    grade: int | None
    version: int
    household_seq: int
    next_due_on: date | None
    parked_reason: str | None
    body: bytes


class TransitionRow(NamedTuple):
    """One row of grade_transition."""

    household_id: str
    version: int
    old_grade: int | None
    new_grade: int
    on_day: date
    trigger_identity: bytes | None
    change: dict[str, Any]


class QuarantineRow(NamedTuple):
    """One row of quarantine."""

    quarantine_id: int
    topic: str
    topic_partition: int
    topic_offset: int
    reason: str
    detail: str
    source: str | None
    event_id: str | None
    household_id: str | None
    record_value: bytes | None
    quarantined_at: datetime


class AlertRow(NamedTuple):
    """One row of alert."""

    alert_id: str
    household_id: str
    household_version: int
    division: str
    grade: int
    status: str
    revision: int
    change: dict[str, Any]
    acknowledged_at: datetime | None


class StepRow(NamedTuple):
    """One row of alert_step."""

    step_id: int
    alert_id: str
    kind: str
    facts: dict[str, Any]


class MessageRow(NamedTuple):
    """One row of alert_message."""

    alert_id: str
    revision: int
    reason: str
    subject: str
    text: str
    body: str
    decided_at: datetime


class DeliveryRow(NamedTuple):
    """One row of delivery."""

    delivery_id: int
    alert_id: str
    revision: int
    staff_id: str
    channel: str
    routed_as: str
    message_id: str
    status: str
    detail: str | None
    digest_id: str | None = None


class DigestRow(NamedTuple):
    """One row of digest: several deliveries in one message. earlier: alerts named again, told before."""

    digest_id: str
    staff_id: str
    channel: str
    message_id: str
    status: str
    earlier: list[str]
    subject: str
    text: str
    body: str
    brief: str


class StaffRow(NamedTuple):
    """One person of the directory."""

    staff_id: str
    role: str
    division: str
    active: bool


class ContactRow(NamedTuple):
    """One way to tell a person."""

    staff_id: str
    channel: str


class PositionRow(NamedTuple):
    """One row of partition_position."""

    consumer_group: str
    topic: str
    partition: int
    next_offset: int | None


@dataclass
class Tables:
    """Rows of the runs that are judged, and those that belong to no run. of_lists: message ids of weekly lists."""

    ledger: list[LedgerRow] = field(default_factory=list)
    states: list[StateRow] = field(default_factory=list)
    transitions: list[TransitionRow] = field(default_factory=list)
    quarantine: list[QuarantineRow] = field(default_factory=list)
    alerts: list[AlertRow] = field(default_factory=list)
    steps: list[StepRow] = field(default_factory=list)
    messages: list[MessageRow] = field(default_factory=list)
    deliveries: list[DeliveryRow] = field(default_factory=list)
    digests: list[DigestRow] = field(default_factory=list)
    of_lists: frozenset[str] = frozenset()
    staff: list[StaffRow] = field(default_factory=list)
    contacts: list[ContactRow] = field(default_factory=list)
    divisions: frozenset[str] = frozenset()
    positions: list[PositionRow] = field(default_factory=list)
    position_log: list[PositionWrite] = field(default_factory=list)
    in_outbox: frozenset[str] = frozenset()
    unreadable_changes: int = 0

    def keep(self, file: Path) -> None:
        """Write them to a file of ours, to be judged again when the database is gone."""
        file.write_bytes(pickle.dumps(self))


def kept_tables(file: Path) -> Tables:
    """Read what `keep` wrote."""
    tables = pickle.loads(file.read_bytes())
    assert isinstance(tables, Tables)
    return tables


Row = TypeVar("Row", bound=tuple[Any, ...])


async def read_tables(dsn: str, runs: tuple[str, ...] | None, since: float) -> Tables:
    """Read the rows of the runs' households, and rows without a household from `since` (unix seconds) on."""
    connection = await asyncpg.connect(dsn.replace("+asyncpg", ""), ssl=False)
    try:
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _Reader(connection, runs, since).everything()
    finally:
        await connection.close()


class _Reader:
    """Reads each table into rows of its type, whose field names are the columns."""

    def __init__(self, connection: Any, runs: tuple[str, ...] | None, since: float) -> None:
        self._connection = connection
        self._ours = ["%"] if runs is None else [f"{_literal(run)}-%" for run in runs]
        self._since = since

    async def everything(self) -> Tables:
        ours, of_alert = (
            "household_id LIKE ANY ($1)",
            "alert_id IN (SELECT alert_id FROM alert WHERE household_id LIKE ANY ($1))",
        )
        nobodys = "quarantined_at >= to_timestamp($2)"
        tables = Tables(
            ledger=await self._rows(LedgerRow, "event_ledger", ours),
            states=await self._rows(StateRow, "household_state", ours),
            transitions=await self._rows(TransitionRow, "grade_transition", ours),
            quarantine=await self._rows(QuarantineRow, "quarantine", f"{ours} OR {nobodys}", self._ours, self._since),
            alerts=await self._rows(AlertRow, "alert", ours),
            steps=await self._rows(StepRow, "alert_step", of_alert),
            messages=await self._rows(MessageRow, "alert_message", of_alert),
            deliveries=await self._rows(DeliveryRow, "delivery", of_alert),
            digests=await self._rows(
                DigestRow, "digest", f"digest_id IN (SELECT digest_id FROM delivery WHERE {of_alert})"
            ),
            staff=await self._rows(StaffRow, "staff", "true"),
            contacts=await self._rows(ContactRow, "contact", "true"),
            positions=await self._rows(PositionRow, "partition_position", "true"),
        )
        if await self._connection.fetchval("SELECT to_regclass('list_delivery') IS NOT NULL"):
            lists = await self._connection.fetch("SELECT message_id FROM list_delivery")
            tables.of_lists = frozenset(row["message_id"] for row in lists)
        tables.divisions = frozenset(row["code"] for row in await self._connection.fetch("SELECT code FROM division"))
        tables.in_outbox = frozenset(row["key"] for row in await self._connection.fetch("SELECT key FROM outbox"))
        tables.unreadable_changes = await self._connection.fetchval(
            "SELECT count(*) FROM notifier_quarantine WHERE quarantined_at >= to_timestamp($1)", self._since
        )
        if await self._connection.fetchval("SELECT to_regclass('chaos_position_log') IS NOT NULL"):
            tables.position_log = await self._rows(PositionWrite, "chaos_position_log", "true")
        return tables

    async def _rows(self, kind: type[Row], table: str, where: str, *values: Any) -> list[Row]:
        columns: Sequence[str] = kind._fields  # type: ignore[attr-defined]
        given = values or ((self._ours,) if "$1" in where else ())
        found = await self._connection.fetch(
            f"SELECT {', '.join(columns)} FROM {table} WHERE {where} ORDER BY 1, 2", *given
        )
        return [kind(*row.values()) for row in found]


def _literal(run: str) -> str:
    """A run's name for LIKE, in which an underscore would stand for any character."""
    return run.replace("\\", "\\\\").replace("_", r"\_").replace("%", r"\%")
