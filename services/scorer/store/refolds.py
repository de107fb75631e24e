"""What an operator asks of stored households: which are parked, and which shall be folded anew from their ledger."""

from dataclasses import fields
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.store.rows import ParkedHousehold
from shared.db.access_keys import audit
from shared.db.session import transaction

_PARKED = text(
    f"""
    SELECT {", ".join(one.name for one in fields(ParkedHousehold) if one.name != "asked")},
      EXISTS (SELECT 1 FROM refold_request AS r WHERE r.household_id = h.household_id) AS asked
    FROM household_state AS h WHERE status = 'parked' ORDER BY household_id
    """  # noqa: S608
)
_CHOSEN = (
    "division LIKE :division_prefix AND (CAST(:only AS text) IS NULL OR household_id = :only)"
    " AND (NOT CAST(:parked_only AS boolean) OR status = 'parked')"
)
_COUNT = text(f"SELECT count(*) FROM household_state WHERE {_CHOSEN}")  # noqa: S608
_FILE = text(
    f"""
    WITH chosen AS (
      SELECT household_id, topic_partition FROM household_state
      WHERE household_id > :after AND {_CHOSEN} ORDER BY household_id LIMIT :most
    ), filed AS (
      INSERT INTO refold_request (household_id, topic_partition, reason, requested_by)
      SELECT household_id, topic_partition, :reason, :by FROM chosen
      ON CONFLICT DO NOTHING RETURNING 1
    )
    SELECT (SELECT max(household_id) FROM chosen) AS last, (SELECT count(*) FROM chosen) AS chosen,
      (SELECT count(*) FROM filed) AS filed
    """  # noqa: S608
)


class Selection(NamedTuple):
    """Which households: one, those whose division begins with a prefix, or (neither given) all; perhaps parked only."""

    household_id: str | None = None
    division_prefix: str = ""
    parked_only: bool = False

    @property
    def values(self) -> dict[str, str | bool | None]:
        """The same for the statements."""
        prefix = f"{self.division_prefix}%"
        return {"only": self.household_id, "division_prefix": prefix, "parked_only": self.parked_only}

    def __str__(self) -> str:
        if self.household_id is not None:
            return f"household {self.household_id}"
        which = f"division {self.division_prefix}" if self.division_prefix else "all"
        return f"{which} parked" if self.parked_only else which


class Filed(NamedTuple):
    """A part of a request: the last household of it (None: there are no more), how many, and how many were new."""

    last: str | None
    chosen: int
    filed: int


class RefoldRequests:
    """The requests, and the households that need them most."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def parked(self) -> list[ParkedHousehold]:
        """Return the parked households. Raises TemporaryFailure."""
        async with transaction(self._engine) as connection:
            return [ParkedHousehold(**row) for row in (await connection.execute(_PARKED)).mappings()]

    async def begin(self, selection: Selection, *, reason: str, by: str) -> int:
        """Note on the audit log what is going to be asked for; return how many households that are."""
        async with transaction(self._engine) as connection:
            found = int((await connection.execute(_COUNT, selection.values)).scalar_one())
            if found:
                await audit(connection, by, f"refold.{reason}", str(selection), {"households": found})
        return found

    async def file(self, selection: Selection, after: str, most: int, *, reason: str, by: str) -> Filed:
        """Ask for the next households in the order of their ids. Raises TemporaryFailure."""
        values = {**selection.values, "after": after, "most": most, "reason": reason, "by": by}
        async with transaction(self._engine) as connection:
            return Filed(*(await connection.execute(_FILE, values)).one())
