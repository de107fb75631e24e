"""Duty lists, absences, holidays, where households live, and why each person was told of a revision or was not."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "duty",
        sa.Column("duty_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("division", sa.Text(), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("to_day", sa.Date(), nullable=False),
        sa.Column("weekdays", postgresql.ARRAY(sa.SmallInteger()), nullable=True),
        sa.Column("from_time", sa.Time(), nullable=False),
        sa.Column("to_time", sa.Time(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint("role in ('township', 'county', 'duty_officer')", name=op.f("ck_duty_role")),
        sa.CheckConstraint("from_day <= to_day", name=op.f("ck_duty_days")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.staff_id"], name=op.f("fk_duty_staff_id_staff")),
        sa.PrimaryKeyConstraint("duty_id", name=op.f("pk_duty")),
    )
    op.create_index("ix_duty_division", "duty", ["division", "to_day"], unique=False)
    op.create_table(
        "absence",
        sa.Column("absence_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stand_in", sa.Text(), nullable=True),
        sa.CheckConstraint("from_at < to_at", name=op.f("ck_absence_span")),
        sa.CheckConstraint("stand_in <> staff_id", name=op.f("ck_absence_stand_in")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.staff_id"], name=op.f("fk_absence_staff_id_staff")),
        sa.ForeignKeyConstraint(["stand_in"], ["staff.staff_id"], name=op.f("fk_absence_stand_in_staff")),
        sa.PrimaryKeyConstraint("absence_id", name=op.f("pk_absence")),
    )
    op.create_index("ix_absence_staff", "absence", ["staff_id", "to_at"], unique=False)
    op.create_table(
        "holiday",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_workday", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_holiday")),
    )
    op.add_column("alert_message", sa.Column("routing", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    # What the scorer shows the notifier's rehearsal of routing: where a household lives.
    op.execute("CREATE VIEW household_place AS SELECT household_id, division FROM household_state")


def downgrade() -> None:
    op.execute("DROP VIEW household_place")
    op.drop_column("alert_message", "routing")
    op.drop_table("holiday")
    op.drop_index("ix_absence_staff", table_name="absence")
    op.drop_table("absence")
    op.drop_index("ix_duty_division", table_name="duty")
    op.drop_table("duty")
