"""What people do with an alert, and the one timer that each alert under way carries."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("alert", sa.Column("visited_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("alert", sa.Column("climb_from", sa.DateTime(timezone=True), nullable=True))
    op.add_column("alert", sa.Column("climbed", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("alert", sa.Column("timer_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_alert_timer",
        "alert",
        ["timer_at", "alert_id"],
        unique=False,
        postgresql_where=sa.text("timer_at is not null"),
    )
    # Alerts from before there were timers begin to climb when they would have.
    op.execute(
        """
        UPDATE alert SET climb_from = opened_at, timer_at = coalesce(acknowledge_by, visit_by)
        WHERE status = 'open'
        """
    )
    op.execute("UPDATE alert SET climb_from = opened_at, timer_at = visit_by WHERE status = 'acknowledged'")


def downgrade() -> None:
    op.drop_index("ix_alert_timer", table_name="alert")
    for name in ("timer_at", "climbed", "climb_from", "visited_at"):
        op.drop_column("alert", name)
