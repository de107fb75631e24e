"""Tables that belong to no single service; each is written through one function of `shared.db`."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Integer, LargeBinary, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.db.tables.base import METADATA

# Written by shared.db.access_keys. The secret itself is stored nowhere.
access_key = Table(
    "access_key",
    METADATA,
    Column("key_id", Text, primary_key=True),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
)

# Written by shared.db.audit, never changed afterwards.
audit_entry = Table(
    "audit_entry",
    METADATA,
    Column("entry_id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("facts", JSONB, nullable=False),
)

# Written by shared.db.positions: who owns a partition of a topic, and the offset that it reads next. The epoch grows
# with each change of owner; a transaction of a former owner finds another epoch here and is rolled back.
# The bookkeeping of what was read: next_offset - first_offset = applied + repeated + quarantined, always.
# quarantine_freely_until: below this offset an operator has allowed any number of records to be put in quarantine.
partition_position = Table(
    "partition_position",
    METADATA,
    Column("consumer_group", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("next_offset", BigInteger),
    Column("first_offset", BigInteger),
    Column("applied", BigInteger, nullable=False, server_default=text("0")),
    Column("repeated", BigInteger, nullable=False, server_default=text("0")),
    Column("quarantined", BigInteger, nullable=False, server_default=text("0")),
    Column("quarantine_freely_until", BigInteger),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
