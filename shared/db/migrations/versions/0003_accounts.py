"""The books of each partition, retries out of the quarantine, requests to fold households anew."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("partition_position", sa.Column("first_offset", sa.BigInteger(), nullable=True))
    for name in ("applied", "repeated", "quarantined"):
        op.add_column(
            "partition_position", sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        )
    op.add_column("partition_position", sa.Column("quarantine_freely_until", sa.BigInteger(), nullable=True))
    op.add_column("quarantine", sa.Column("retried_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("quarantine", sa.Column("retried_by", sa.Text(), nullable=True))
    op.create_table(
        "refold_request",
        sa.Column("household_id", sa.Text(), nullable=False),
        sa.Column("topic_partition", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("household_id", name=op.f("pk_refold_request")),
    )
    op.create_index("ix_refold_request_partition", "refold_request", ["topic_partition", "requested_at"], unique=False)
    op.create_index(
        "ix_event_ledger_offset",
        "event_ledger",
        ["topic_offset"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32},
    )
    op.create_index(
        "ix_grade_transition_decided", "grade_transition", ["decided_at"], unique=False, postgresql_using="brin"
    )
    # What the scorer shows the notifier's reconciler: changes of grade that somebody may have to hear of.
    op.execute(
        """
        CREATE VIEW grade_change_history AS
        SELECT household_id, version, old_grade, new_grade, decided_at FROM grade_transition
        """
    )


def downgrade() -> None:
    op.execute("DROP VIEW grade_change_history")
    op.drop_index("ix_grade_transition_decided", table_name="grade_transition")
    op.drop_index("ix_event_ledger_offset", table_name="event_ledger")
    op.drop_index("ix_refold_request_partition", table_name="refold_request")
    op.drop_table("refold_request")
    op.drop_column("quarantine", "retried_by")
    op.drop_column("quarantine", "retried_at")
    for name in ("quarantine_freely_until", "quarantined", "repeated", "applied", "first_offset"):
        op.drop_column("partition_position", name)
