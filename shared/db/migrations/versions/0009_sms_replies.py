"""Codes by which people answer text messages, the answers that were taken in, and duty lines that override others."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "reply_code",
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("alert_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.alert_id"], name=op.f("fk_reply_code_alert_id_alert")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.staff_id"], name=op.f("fk_reply_code_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", "code", name=op.f("pk_reply_code")),
        sa.UniqueConstraint("staff_id", "alert_id", name=op.f("uq_reply_code_staff_id_alert_id")),
    )
    op.create_table(
        "sms_reply",
        sa.Column("sequence_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence_id", name=op.f("pk_sms_reply")),
    )
    op.create_index("ix_sms_reply_at", "sms_reply", ["at"], unique=False)
    op.add_column("duty", sa.Column("overrides", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def downgrade() -> None:
    op.drop_column("duty", "overrides")
    op.drop_index("ix_sms_reply_at", table_name="sms_reply")
    op.drop_table("sms_reply")
    op.drop_table("reply_code")
