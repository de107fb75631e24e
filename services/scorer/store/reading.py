"""Households and their ledgers, as they are stored."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.store.rows import StateRow
from shared.db.driver import Driver
from shared.events.household_event import HouseholdEvent, SourceClass

STATE_COLUMNS = (
    "household_id, division, alias, status, grade, version, household_seq, next_due_on, parked_reason, body,"
    " topic_partition"
)
_STATES = f"SELECT {STATE_COLUMNS} FROM household_state WHERE household_id = ANY($1::text[])"  # noqa: S608
_HISTORY = text(
    """
    SELECT household_id, source, event_id, type, source_class, episode, division, occurred_on, recorded_on, payload
    FROM event_ledger WHERE household_id = ANY(CAST(:ids AS text[])) ORDER BY household_id, household_seq
    """
)
_NUMBERING = text(
    """
    SELECT household_id, count(*) AS events, min(household_seq) AS first, max(household_seq) AS last
    FROM event_ledger WHERE household_id = ANY(CAST(:ids AS text[])) GROUP BY household_id
    """
)
_SOME_PERCENT = text(
    """
    SELECT household_id FROM household_state TABLESAMPLE SYSTEM (CAST(:percent AS real))
    ORDER BY random() LIMIT :most
    """
)
_ABOUT_HOW_MANY = text("SELECT reltuples FROM pg_class WHERE oid = 'household_state'::regclass")
# Below this a sample may as well look at every row.
_SMALL_TABLE = 20_000


class Numbering(NamedTuple):
    """How a household's events are numbered in the ledger: how many, the first number, the last."""

    events: int
    first: int
    last: int


class HouseholdReader:
    """Reads within somebody's transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def states(self, household_ids: Iterable[str]) -> dict[str, StateRow]:
        """Return the stored households of these ids."""
        driver = await Driver.of(self._connection)
        return {row[0]: StateRow(*row) for row in await driver.fetch(_STATES, list(household_ids))}

    async def histories(self, household_ids: Iterable[str]) -> dict[str, list[HouseholdEvent]]:
        """Return the households' events from the ledger, each in its order."""
        rows = await self._connection.execute(_HISTORY, {"ids": list(household_ids)})
        found: dict[str, list[HouseholdEvent]] = {}
        for row in rows:
            history = found.setdefault(row.household_id, [])
            event = _event(row)
            # The clock of a parked household stands still, so an event that ingest was slow to hand over may have
            # been noted there under an earlier day than the one before it. Time does not run backwards in a fold.
            if history and event.recorded_on < history[-1].recorded_on:
                event = replace(event, recorded_on=history[-1].recorded_on)
            history.append(event)
        return found

    async def numberings(self, household_ids: Iterable[str]) -> dict[str, Numbering]:
        """Return how the households' events are numbered."""
        rows = await self._connection.execute(_NUMBERING, {"ids": list(household_ids)})
        return {row.household_id: Numbering(row.events, row.first, row.last) for row in rows}

    async def some_households(self, most: int) -> list[str]:
        """Return the ids of households taken at random from some pages of the table."""
        about = float((await self._connection.execute(_ABOUT_HOW_MANY)).scalar_one())
        percent = 100.0 if about < _SMALL_TABLE else min(100.0, 200.0 * most / about)
        return list((await self._connection.execute(_SOME_PERCENT, {"percent": percent, "most": most})).scalars())


def _event(row: Any) -> HouseholdEvent:
    return HouseholdEvent(
        event_id=row.event_id,
        type=row.type,
        occurred_on=row.occurred_on,
        recorded_on=row.recorded_on,
        source_class=SourceClass(row.source_class),
        payload=json.loads(row.payload),
        episode=row.episode,
        source=row.source,
        division=row.division,
    )
