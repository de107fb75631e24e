"""Tables of the scorer: the ledger of events, the state folded from it, and what follows from a change of grade."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.db.tables.base import METADATA

# Of body, payload, change and value, and of their tables: storage external, toast_tuple_target 8160 (migration 0010).
# They are a few kB at most; trying to compress them took a quarter of all that PostgreSQL did for an event.

# One row per event that counts, in the order in which it was applied to its household (household_seq, from 1).
# identity: 128-bit hash of (source, event id). content_hash: of what the client sent, to tell a repeat from a conflict.
# payload: canonical JSON in UTF-8; only our own code reads it. grade_before, grade_after: null while not yet graded.
event_ledger = Table(
    "event_ledger",
    METADATA,
    Column("identity", LargeBinary, primary_key=True),
    Column("household_id", Text, nullable=False),
    Column("household_seq", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("source_class", Text, nullable=False),
    Column("episode", Text),
    Column("division", Text, nullable=False),
    Column("occurred_on", Date, nullable=False),
    Column("recorded_on", Date, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("content_hash", LargeBinary, nullable=False),
    Column("key_id", Text),
    Column("topic_partition", Integer, nullable=False),
    Column("topic_offset", BigInteger, nullable=False),
    Column("grade_before", SmallInteger),
    Column("grade_after", SmallInteger),
    UniqueConstraint("household_id", "household_seq"),
    # For the reconciler, which counts the rows of a window of offsets. Rows arrive in about this order, so a summary
    # of each stretch of pages is enough, and costs the writer next to nothing.
    Index("ix_event_ledger_offset", "topic_offset", postgresql_using="brin", postgresql_with={"pages_per_range": 32}),
)

# One row per household that any event named. status: waiting (nobody enrolled it), enrolled, closed, parked (its
# history cannot be folded; parked_reason says why and the grade is the last good one), or area (not a household but a
# division, under whose code area events are kept in their order).
# body: the folded state, opaque to SQL. version: number of grade changes so far. topic_partition: the partition of
# household.events.v1 that holds the household; the owner of that partition is the only writer of the row.
# The notifier reads where a household lives through the view household_place, and which grade it holds through
# household_grade. Ingest reads what became of an event through applied_event and quarantined_record.
household_state = Table(
    "household_state",
    METADATA,
    Column("household_id", Text, primary_key=True),
    Column("topic_partition", Integer, nullable=False),
    Column("division", Text, nullable=False),
    Column("alias", Text),
    Column("status", Text, nullable=False),
    Column("grade", SmallInteger),
    Column("version", Integer, nullable=False),
    Column("household_seq", BigInteger, nullable=False),
    Column("next_due_on", Date),
    Column("parked_reason", Text),
    Column("body", LargeBinary, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("status in ('waiting', 'enrolled', 'closed', 'parked', 'area')", name="status"),
    CheckConstraint("grade between 0 and 4", name="grade"),
    Index(
        "ix_household_state_due",
        "topic_partition",
        "next_due_on",
        postgresql_where=text("next_due_on is not null and status = 'enrolled'"),
    ),
    # Room on the page for the next version of the row, so that an update need not touch the indexes.
    postgresql_with={"fillfactor": 70},
)

# One row per change of a held grade; `change` is the message as it was put on the log. The notifier's reconciler reads
# it through the view grade_change_history.
grade_transition = Table(
    "grade_transition",
    METADATA,
    Column("household_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("old_grade", SmallInteger),
    Column("new_grade", SmallInteger, nullable=False),
    Column("on_day", Date, nullable=False),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    Column("trigger_identity", LargeBinary),
    Column("change", JSONB, nullable=False),
    Index("ix_grade_transition_decided", "decided_at", postgresql_using="brin"),
)

# Messages that must reach the log; deleted by the relay once the brokers have them.
outbox = Table(
    "outbox",
    METADATA,
    Column("outbox_id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# Records that cannot be applied, whole, with the reason. Nothing leaves without a person's word.
# retried_at, retried_by: a person has put the record on the log once more; what becomes of it then is another row.
quarantine = Table(
    "quarantine",
    METADATA,
    Column("quarantine_id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("topic_partition", Integer, nullable=False),
    Column("topic_offset", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("source", Text),
    Column("event_id", Text),
    Column("household_id", Text),
    Column("key_id", Text),
    Column("record_key", LargeBinary),
    Column("record_value", LargeBinary),
    Column("quarantined_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("retried_at", DateTime(timezone=True)),
    Column("retried_by", Text),
    UniqueConstraint("topic", "topic_partition", "topic_offset"),
    Index("ix_quarantine_event", "event_id", "source"),
)

# A household that events name and no register knows: one clue for its village, closed by the enrolment.
clue = Table(
    "clue",
    METADATA,
    Column("household_id", Text, primary_key=True),
    Column("division", Text, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True)),
)

# Things about the register or the history that a person should look at; never a reason to refuse an event.
data_finding = Table(
    "data_finding",
    METADATA,
    Column("household_id", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("identity", LargeBinary, primary_key=True),
    Column("found_at", DateTime(timezone=True), nullable=False),
)

# Households whose state a person wants folded anew from the ledger; the owner of the partition does it and deletes the
# row. reason: retry (it was parked) or rebuild.
refold_request = Table(
    "refold_request",
    METADATA,
    Column("household_id", Text, primary_key=True),
    Column("topic_partition", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_refold_request_partition", "topic_partition", "requested_at"),
)
