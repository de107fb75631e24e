"""The tables of the notifier: divisions, staff, alerts, their deliveries, and console sessions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("alert_id", sa.Text(), nullable=False),
        sa.Column("household_id", sa.Text(), nullable=False),
        sa.Column("household_version", sa.Integer(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=True),
        sa.Column("division", sa.Text(), nullable=False),
        sa.Column("grade", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("change", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("plan", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("causes_told", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledge_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("visit_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_revision", sa.Integer(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unreachable", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint(
            "status in ('open', 'acknowledged', 'visited', 'resolved', 'withdrawn')", name=op.f("ck_alert_status")
        ),
        sa.CheckConstraint("grade between 0 and 4", name=op.f("ck_alert_grade")),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_alert")),
    )
    op.create_table(
        "division",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.CheckConstraint("code ~ '^[0-9]{12}$'", name=op.f("ck_division_code")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_division")),
    )
    op.create_table(
        "notifier_quarantine",
        sa.Column("quarantine_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("topic_partition", sa.Integer(), nullable=False),
        sa.Column("topic_offset", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("record_key", sa.LargeBinary(), nullable=True),
        sa.Column("record_value", sa.LargeBinary(), nullable=True),
        sa.Column("quarantined_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("quarantine_id", name=op.f("pk_notifier_quarantine")),
        sa.UniqueConstraint(
            "topic",
            "topic_partition",
            "topic_offset",
            name=op.f("uq_notifier_quarantine_topic_topic_partition_topic_offset"),
        ),
    )
    op.create_table(
        "staff",
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("division", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column("webhook_secret", sa.Text(), nullable=True),
        sa.Column("webhook_disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "role in ('cadre', 'grid', 'village_team', 'township', 'county', 'duty_officer')",
            name=op.f("ck_staff_role"),
        ),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_staff")),
    )
    op.create_table(
        "alert_message",
        sa.Column("alert_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.alert_id"], name=op.f("fk_alert_message_alert_id_alert")),
        sa.PrimaryKeyConstraint("alert_id", "revision", name=op.f("pk_alert_message")),
    )
    op.create_table(
        "alert_step",
        sa.Column("step_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("alert_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.alert_id"], name=op.f("fk_alert_step_alert_id_alert")),
        sa.PrimaryKeyConstraint("step_id", name=op.f("pk_alert_step")),
    )
    op.create_table(
        "session",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.staff_id"], name=op.f("fk_session_staff_id_staff")),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_session")),
    )
    op.create_table(
        "delivery",
        sa.Column("delivery_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("alert_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("routed_as", sa.Text(), nullable=False),
        sa.Column("grade", sa.SmallInteger(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status in ('pending', 'sent', 'failed', 'suppressed')", name=op.f("ck_delivery_status")),
        sa.ForeignKeyConstraint(
            ["alert_id", "revision"],
            ["alert_message.alert_id", "alert_message.revision"],
            name=op.f("fk_delivery_alert_id_alert_message"),
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.staff_id"], name=op.f("fk_delivery_staff_id_staff")),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_delivery")),
        sa.UniqueConstraint(
            "alert_id", "revision", "staff_id", "channel", name=op.f("uq_delivery_alert_id_revision_staff_id_channel")
        ),
        sa.UniqueConstraint("message_id", name=op.f("uq_delivery_message_id")),
    )
    op.create_table(
        "delivery_attempt",
        sa.Column("attempt_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.delivery_id"], name=op.f("fk_delivery_attempt_delivery_id_delivery")
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_delivery_attempt")),
    )
    op.create_index(
        "ix_alert_division",
        "alert",
        ["division", "opened_at", "alert_id"],
        unique=False,
        postgresql_ops={"division": "text_pattern_ops"},
    )
    op.create_index("ix_alert_household", "alert", ["household_id", "household_version"], unique=False)
    op.create_index("ix_alert_newest", "alert", ["opened_at", "alert_id"], unique=False)
    op.create_index(
        "ix_alert_worst",
        "alert",
        [sa.text("grade desc"), "opened_at", "alert_id"],
        unique=False,
        postgresql_where=sa.text("status in ('open', 'acknowledged', 'visited')"),
    )
    op.create_index(
        "uq_alert_under_way",
        "alert",
        ["household_id"],
        unique=True,
        postgresql_where=sa.text("status in ('open', 'acknowledged', 'visited')"),
    )
    op.create_index("ix_staff_division", "staff", ["division"], unique=False)
    op.create_index("ix_alert_step_alert", "alert_step", ["alert_id", "step_id"], unique=False)
    op.create_index("ix_session_expires", "session", ["expires_at"], unique=False)
    op.create_index("ix_session_staff", "session", ["staff_id"], unique=False)
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["channel", sa.text("grade desc"), "next_attempt_at", "delivery_id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("ix_delivery_attempt_delivery", "delivery_attempt", ["delivery_id", "attempt_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_delivery_attempt_delivery", table_name="delivery_attempt")
    op.drop_index("ix_delivery_due", table_name="delivery")
    op.drop_index("ix_session_staff", table_name="session")
    op.drop_index("ix_session_expires", table_name="session")
    op.drop_index("ix_alert_step_alert", table_name="alert_step")
    op.drop_index("ix_staff_division", table_name="staff")
    op.drop_index("uq_alert_under_way", table_name="alert")
    op.drop_index("ix_alert_worst", table_name="alert")
    op.drop_index("ix_alert_newest", table_name="alert")
    op.drop_index("ix_alert_household", table_name="alert")
    op.drop_index("ix_alert_division", table_name="alert")
    op.drop_table("delivery_attempt")
    op.drop_table("delivery")
    op.drop_table("session")
    op.drop_table("alert_step")
    op.drop_table("alert_message")
    op.drop_table("staff")
    op.drop_table("notifier_quarantine")
    op.drop_table("division")
    op.drop_table("alert")
