"""When a person may be sent a message in which nothing is red; until their next message, when they may be sent any."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("ALTER TABLE person_turn ADD COLUMN milder_free_at timestamptz")
    op.execute("UPDATE person_turn SET milder_free_at = free_at")
    op.execute("ALTER TABLE person_turn ALTER COLUMN milder_free_at SET NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE person_turn DROP COLUMN milder_free_at")
