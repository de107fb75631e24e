"""What `explain` says of a household whose history cannot be folded, or that is not judged on the day asked for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from services.scorer.core.household import new_household
from services.scorer.core.state_codec import encode
from services.scorer.explain_command import NothingToExplain, explain_household, in_words
from services.scorer.store import StateRow
from shared.events.household_event import HouseholdEvent
from shared.policy import load_policies
from tests.factories import make_enrolment, make_event

POLICIES = load_policies()


@dataclass
class MemoryStore:
    """A ledger of one household, read as the scorer's store is."""

    ledger: list[HouseholdEvent]
    changes: dict[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def transaction(self, _partition: object) -> AsyncIterator["MemoryStore"]:
        yield self

    async def states(self, _ids: object) -> dict[str, StateRow]:
        row = {
            "household_id": "H1", "division": "990100101201", "alias": None, "status": "enrolled", "grade": 0,
            "version": 1, "household_seq": 2, "next_due_on": None, "parked_reason": None,
            "body": encode(new_household()),
        }  # fmt: skip
        return {"H1": StateRow(**(row | self.changes))}

    async def histories(self, _ids: object) -> dict[str, list[HouseholdEvent]]:
        return {"H1": self.ledger}


async def explained(store: MemoryStore, day: date) -> dict[str, Any]:
    return dict(await explain_household(store, "H1", day, POLICIES))  # type: ignore[arg-type]


async def test_a_parked_household_is_explained_up_to_the_event_at_which_it_was_parked() -> None:
    last = make_event("edu.cost", date.max, event_id="last")
    store = MemoryStore([make_enrolment("2026-01-01"), last], {"status": "parked", "parked_reason": "Overflow at last"})
    told = await explained(store, date(2026, 3, 2))
    assert told["grade"] == "green"
    assert any("PARKED (Overflow at last)" in line for line in in_words(told))
    with pytest.raises(NothingToExplain, match=r"parked, .* cannot be folded \(Overflow at last\)"):
        await explained(store, date.max)


async def test_a_day_before_the_first_one_judged_names_that_day() -> None:
    store = MemoryStore([make_enrolment("2025-12-01", enrolled_on="2026-01-01")])
    with pytest.raises(NothingToExplain, match="judged only from 2026-01-01 on; 2025-12-24 is before that"):
        await explained(store, date(2025, 12, 24))


async def test_a_closed_household_is_said_to_be_closed() -> None:
    store = MemoryStore([make_enrolment("2026-01-01"), make_event("registry.closed", "2026-02-01", reason="moved")])
    with pytest.raises(NothingToExplain, match="closed in the register on 2026-02-01"):
        await explained(store, date(2026, 2, 1))
    assert (await explained(store, date(2026, 1, 31)))["grade"] == "green"
