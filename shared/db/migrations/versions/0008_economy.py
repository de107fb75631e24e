"""Why deliveries wait, silences, weekly lists, and the grade that each household holds, for the notifier to read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


def _instant(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "silence",
        sa.Column("silence_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _text("division"),
        _text("household_id", nullable=True),
        sa.Column("grades", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        _text("owner"),
        _text("reason"),
        _instant("created_at", nullable=False),
        _instant("until_at", nullable=False),
        _instant("ended_at"),
        _text("ended_by", nullable=True),
        sa.CheckConstraint("created_at < until_at", name=op.f("ck_silence_span")),
        sa.CheckConstraint("(ended_at is null) = (ended_by is null)", name=op.f("ck_silence_ended")),
        sa.PrimaryKeyConstraint("silence_id", name=op.f("pk_silence")),
    )
    op.create_index("ix_silence_until", "silence", ["until_at"], unique=False)
    _alerts_can_be_silenced()
    _deliveries_can_wait()
    _weekly_lists()
    # What the scorer shows the notifier: the grade that each household holds (a parked one its last good grade).
    op.execute(
        """
        CREATE VIEW household_grade AS
        SELECT household_id, division, alias, grade FROM household_state
        WHERE status IN ('enrolled', 'parked') AND grade IS NOT NULL
        """
    )


def _alerts_can_be_silenced() -> None:
    op.add_column("alert", _instant("counts_from"))
    op.add_column("alert", sa.Column("silence_id", sa.BigInteger(), nullable=True))
    op.add_column("alert", _instant("silenced_since"))
    op.add_column("alert", _instant("silenced_until"))
    op.add_column("alert", _text("untold", nullable=True))
    op.create_foreign_key(op.f("fk_alert_silence_id_silence"), "alert", "silence", ["silence_id"], ["silence_id"])
    op.create_index(
        "ix_alert_silence", "alert", ["silence_id"], unique=False, postgresql_where=sa.text("silence_id is not null")
    )


def _deliveries_can_wait() -> None:
    op.add_column("delivery", _text("held", nullable=True))
    op.add_column("delivery", _instant("held_until"))
    op.create_check_constraint(op.f("ck_delivery_held"), "delivery", "held in ('quiet_hours', 'daily_cap')")
    op.create_index(
        "ix_delivery_waiting",
        "delivery",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending' and held is not null and held_until is null"),
    )


def _weekly_lists() -> None:
    op.create_table(
        "weekly_list",
        sa.Column("list_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _text("staff_id"),
        _text("division"),
        sa.Column("week", sa.Date(), nullable=False),
        _instant("made_at", nullable=False),
        _text("told", nullable=True),
        sa.Column("households", sa.Integer(), nullable=False),
        _text("subject", nullable=True),
        _text("text", nullable=True),
        _text("body", nullable=True),
        _text("brief", nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.staff_id"], name=op.f("fk_weekly_list_staff_id_staff")),
        sa.ForeignKeyConstraint(["told"], ["staff.staff_id"], name=op.f("fk_weekly_list_told_staff")),
        sa.PrimaryKeyConstraint("list_id", name=op.f("pk_weekly_list")),
        sa.UniqueConstraint("week", "staff_id", "division", name=op.f("uq_weekly_list_week_staff_id_division")),
    )
    op.create_table(
        "list_delivery",
        sa.Column("list_delivery_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("list_id", sa.BigInteger(), nullable=False),
        _text("channel"),
        _text("target"),
        _text("message_id"),
        _text("status"),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _instant("next_attempt_at", nullable=False),
        _instant("leased_until"),
        _text("leased_by", nullable=True),
        _text("receipt", nullable=True),
        _text("detail", nullable=True),
        _instant("created_at", nullable=False),
        _instant("sent_at"),
        sa.CheckConstraint("status in ('pending', 'sent', 'failed')", name=op.f("ck_list_delivery_status")),
        sa.ForeignKeyConstraint(
            ["list_id"], ["weekly_list.list_id"], name=op.f("fk_list_delivery_list_id_weekly_list")
        ),
        sa.PrimaryKeyConstraint("list_delivery_id", name=op.f("pk_list_delivery")),
        sa.UniqueConstraint("list_id", "channel", name=op.f("uq_list_delivery_list_id_channel")),
        sa.UniqueConstraint("message_id", name=op.f("uq_list_delivery_message_id")),
    )
    op.create_index(
        "ix_list_delivery_due",
        "list_delivery",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )


def downgrade() -> None:
    op.execute("DROP VIEW household_grade")
    op.drop_table("list_delivery")
    op.drop_table("weekly_list")
    op.drop_index("ix_delivery_waiting", table_name="delivery")
    op.drop_constraint(op.f("ck_delivery_held"), "delivery", type_="check")
    for name in ("held_until", "held"):
        op.drop_column("delivery", name)
    op.drop_index("ix_alert_silence", table_name="alert")
    op.drop_constraint(op.f("fk_alert_silence_id_silence"), "alert", type_="foreignkey")
    for name in ("untold", "silenced_until", "silenced_since", "silence_id", "counts_from"):
        op.drop_column("alert", name)
    op.drop_index("ix_silence_until", table_name="silence")
    op.drop_table("silence")
