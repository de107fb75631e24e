"""What the scorer shows ingest of an event: its row in the ledger, or its place in quarantine."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute(
        """
        CREATE VIEW applied_event AS
        SELECT l.identity, l.source, l.event_id, l.key_id, l.household_id, l.recorded_at, l.grade_before, l.grade_after,
               s.status AS household_status
        FROM event_ledger AS l LEFT JOIN household_state AS s ON s.household_id = l.household_id
        """
    )
    op.execute(
        """
        CREATE VIEW quarantined_record AS
        SELECT quarantine_id, topic, topic_partition, topic_offset, source, event_id, key_id, household_id, reason,
               detail, quarantined_at, retried_at IS NOT NULL AS retried
        FROM quarantine
        """
    )


def downgrade() -> None:
    op.execute("DROP VIEW quarantined_record")
    op.execute("DROP VIEW applied_event")
