"""Planted bugs of the notifier."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from services.notifier import deliver
from services.notifier.core import routing
from services.notifier.deliver import Deliver
from services.notifier.raise_alert import RaiseAlert
from services.notifier.store import writing
from services.notifier.store.alerts import AlertStore, AlertTransaction
from services.notifier.store.due import Due
from services.notifier.store.rows import AlertRow, Register
from shared.bus.ports import PartitionBatch
from shared.db.positions import Fates
from tests.chaos.planted.patching import nothing, swap

GIVES_UP_AFTER = 3


def position_before_alerts() -> None:
    """The position is committed by itself, before the alerts are written."""

    def early(handle: Callable[..., Awaitable[None]]) -> Any:
        async def commit_then_raise(self: RaiseAlert, batch: PartitionBatch) -> None:
            async with self._store.transaction() as tx:
                await tx._positions.advance(tx._connection, batch, Fates(applied=len(batch.records)))
            await handle(self, batch)

        return commit_then_raise

    swap(RaiseAlert, "handle", early)
    swap(AlertTransaction, "advance", lambda _: nothing)


def gives_up_after_three() -> None:
    """A delivery is given up after its third attempt."""

    def impatient(judge: Callable[..., Any]) -> Any:
        def judge_three(attempt: Any, *, attempts_before: int, **rest: Any) -> Any:
            rest["given_up"] = attempts_before + 1 >= GIVES_UP_AFTER
            return judge(attempt, attempts_before=attempts_before, **rest)

        return judge_three

    swap(deliver, "judge", impatient)


def new_id_for_each_attempt() -> None:
    """A repeated attempt goes out under a new message id, so nobody can tell that it is a repeat."""

    def naive(attempt: Callable[..., Awaitable[Any]]) -> Any:
        async def attempt_anew(self: Deliver, due: Due) -> Any:
            return await attempt(self, replace(due, message_id=f"msg_{uuid.uuid4().hex}"))

        return attempt_anew

    swap(Deliver, "_attempt", naive)


def two_open_alerts() -> None:
    """No unique index guards the open alert, and nobody looks for one: each worsening opens another."""

    async def none_under_way(self: AlertTransaction, household_ids: Collection[str]) -> dict[str, AlertRow]:
        return {}

    def unguarded(opened: Callable[..., Any]) -> Any:
        @asynccontextmanager
        async def transaction(self: AlertStore) -> AsyncIterator[AlertTransaction]:
            async with opened(self) as tx:
                await tx._connection.execute(text("DROP INDEX IF EXISTS uq_alert_under_way"))
                yield tx

        return transaction

    swap(AlertTransaction, "under_way", lambda _: none_under_way)
    swap(AlertStore, "transaction", unguarded)


def told_in_the_next_village() -> None:
    """Cadres are looked for in the whole township: people of other villages hear of the household."""

    def wide(ancestors: Callable[[str], tuple[str, ...]]) -> Any:
        def neighbours(division: str) -> tuple[str, ...]:
            villages = tuple(f"{division[:9]}{number:03d}" for number in range(200, 210))
            return (*ancestors(division), *villages)

        return neighbours

    def township(people: Callable[[Register, str], list[routing.StaffMember]]) -> Any:
        def near(self: Register, division: str) -> list[routing.StaffMember]:
            moved = tuple(
                replace(person, division=division)
                if person.role == "cadre" and person.division[:9] == division[:9]
                else person
                for person in self.staff
            )
            return people(replace(self, staff=moved), division)

        return near

    swap(writing, "ancestors", wide)
    swap(Register, "_people", township)
