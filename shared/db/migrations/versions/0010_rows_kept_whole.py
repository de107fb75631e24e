"""Bodies, payloads and messages stay on the page of their row, and nobody tries to compress them.

Only catalogue entries change, for rows written from now on; rows that are there stay as they are and stay readable.
"""

from alembic import op

revision = "0010"
down_revision = "0009"

_WHOLE = (("household_state", "body"), ("event_ledger", "payload"), ("grade_transition", "change"), ("outbox", "value"))
# The most that fits on a page of PostgreSQL; by default what is longer than 2 kB is compressed or moved away.
_LONGEST_ROW = 8160


def upgrade() -> None:
    for table, column in _WHOLE:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
        op.execute(f"ALTER TABLE {table} SET (toast_tuple_target = {_LONGEST_ROW})")


def downgrade() -> None:
    for table, column in _WHOLE:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTENDED")
        op.execute(f"ALTER TABLE {table} RESET (toast_tuple_target)")
