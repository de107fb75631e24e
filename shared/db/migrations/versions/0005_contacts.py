"""A person's ways of being told in a table of their own; short texts; what each receiver may still be sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "contact",
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "channel in ('smtp', 'webhook', 'wecom_robot', 'wecom_app', 'dingtalk', 'feishu', 'aliyun_sms')",
            name=op.f("ck_contact_channel"),
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.staff_id"], name=op.f("fk_contact_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", "channel", name=op.f("pk_contact")),
    )
    op.create_index("ix_contact_address", "contact", ["channel", "address"], unique=False)
    op.execute(
        """
        INSERT INTO contact (staff_id, channel, address, place)
        SELECT staff_id, 'smtp', email, 0 FROM staff WHERE email IS NOT NULL
        """
    )
    op.execute(
        """
        INSERT INTO contact (staff_id, channel, address, secret, place, disabled_at)
        SELECT staff_id, 'webhook', webhook_url, webhook_secret, 1, webhook_disabled_at
        FROM staff WHERE webhook_url IS NOT NULL
        """
    )
    for name in ("webhook_disabled_at", "webhook_secret", "webhook_url", "email"):
        op.drop_column("staff", name)
    op.add_column("alert_message", sa.Column("brief", sa.Text(), nullable=True))
    op.execute("UPDATE alert_message SET brief = subject")
    op.alter_column("alert_message", "brief", nullable=False)
    op.add_column("delivery", sa.Column("passed_on_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "send_budget",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("recent", postgresql.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_send_budget")),
    )


def downgrade() -> None:
    op.drop_table("send_budget")
    op.drop_column("delivery", "passed_on_at")
    op.drop_column("alert_message", "brief")
    for name in ("email", "webhook_url", "webhook_secret"):
        op.add_column("staff", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("staff", sa.Column("webhook_disabled_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        """
        UPDATE staff SET email = contact.address FROM contact
        WHERE contact.staff_id = staff.staff_id AND contact.channel = 'smtp'
        """
    )
    op.execute(
        """
        UPDATE staff SET webhook_url = contact.address, webhook_secret = contact.secret,
               webhook_disabled_at = contact.disabled_at
        FROM contact WHERE contact.staff_id = staff.staff_id AND contact.channel = 'webhook'
        """
    )
    op.drop_index("ix_contact_address", table_name="contact")
    op.drop_table("contact")
