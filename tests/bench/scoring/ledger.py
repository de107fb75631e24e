"""Makes a ledger long: rows of households elsewhere, so that its indexes are as large as after years of service."""

from typing import Any

import asyncpg

from tests.bench.databases import Databases

# The way of a bulk load: without indexes, which are then built from sorted rows.
_CONSTRAINTS = """
    SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
    WHERE conrelid = 'event_ledger'::regclass AND contype IN ('p', 'u')
"""
# Of the size and the spread of real ones: identities are hashes, ten events a household, texts of the usual length.
_FILL = """
    INSERT INTO event_ledger (
      identity, household_id, household_seq, source, event_id, type, source_class, division, occurred_on, recorded_on,
      recorded_at, payload, content_hash, key_id, topic_partition, topic_offset, grade_before, grade_after
    )
    SELECT substring(sha256(convert_to('event ' || n, 'UTF8')) FOR 16),
      'L' || lpad((n / 10)::text, 8, '0'), n % 10 + 1, 'urn:shouwang-demo:medical-insurance',
      'f0000000-0000-7000-8000-' || lpad(n::text, 12, '0'), 'health.hospitalisation', 'department', '992001100200',
      date '2025-01-01', date '2025-01-01', timestamptz '2025-01-01 02:00+00',
      convert_to('{"person":"p1","self_pay_yuan":' || n % 9000 || '}', 'UTF8'),
      substring(sha256(convert_to('content ' || n, 'UTF8')) FOR 16), 'swbench', n % 12, n - 1000000000000, 0, 0
    FROM generate_series($1::bigint, $2::bigint - 1) AS n
"""
AT_ONCE = 1_000_000


async def lengthen(databases: Databases, name: str, rows: int) -> None:
    """Add so many rows to the ledger of a database."""
    async with databases.connection(name) as connection:
        constraints = await connection.fetch(_CONSTRAINTS)
        for one in constraints:
            await connection.execute(f'ALTER TABLE event_ledger DROP CONSTRAINT "{one["name"]}"')
        await _fill(connection, rows)
        await connection.execute("SET maintenance_work_mem = '512MB'")
        for one in constraints:
            await connection.execute(f'ALTER TABLE event_ledger ADD CONSTRAINT "{one["name"]}" {one["definition"]}')
        await connection.execute("VACUUM (FREEZE, ANALYZE) event_ledger")


async def _fill(connection: "asyncpg.Connection[Any]", rows: int) -> None:
    for first in range(0, rows, AT_ONCE):
        await connection.execute(_FILL, first, min(first + AT_ONCE, rows))
