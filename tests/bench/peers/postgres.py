"""One batch of the toy job in one PostgreSQL transaction, for entrants that bring no state of their own."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from tests.bench.peers.toy import columns, fold_all

CREATE = "CREATE TABLE peer_counter (household_id text PRIMARY KEY, events bigint, total_fen bigint, grade smallint)"
LOAD = "SELECT household_id, events, total_fen, grade FROM peer_counter WHERE household_id = ANY($1::text[])"
STORE = """
    INSERT INTO peer_counter SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::smallint[])
    ON CONFLICT (household_id) DO UPDATE SET
        events = excluded.events, total_fen = excluded.total_fen, grade = excluded.grade
"""


async def fold_batch(database: "asyncpg.Connection[Any]", amounts: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """Count (household, amount in fen) in their order, commit, and return the alerts."""
    async with database.transaction():
        rows = await database.fetch(LOAD, list({household_id for household_id, _ in amounts}))
        changed, alerts = fold_all({row[0]: [row[1], row[2], row[3]] for row in rows}, amounts)
        await database.execute(STORE, *columns(changed))
    return alerts
