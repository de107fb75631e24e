"""Stores that messages were taken, many in one transaction: while one commit is under way the next ones gather.

A commit waits for the disk. In a storm each receipt would wait for its own; together they wait for one.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from services.notifier.store.deliveries import Deliveries
from services.notifier.store.due import Taken
from shared.errors import TemporaryFailure
from shared.logs import get_logger

log = get_logger(__name__)

PAUSES_BEFORE_OUTCOME_IS_LOST_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)


@dataclass(slots=True)
class _Waiting:
    taken: Taken
    stored: "asyncio.Future[bool]"


class ConcludeSent:
    """One gathers for all lanes of a process."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def store(self, taken: Taken) -> bool:
        """Return once the outcome is durable; False when the database stayed away too long to know."""
        waiting = _Waiting(taken, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all(), name="conclude sent deliveries")
        return await waiting.stored

    async def _write_all(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting, []
            try:
                stored = await self._write([one.taken for one in some])
            except Exception as error:
                for one in some:
                    if not one.stored.done():
                        one.stored.set_exception(error)
                continue
            for one in some:
                if not one.stored.done():
                    one.stored.set_result(stored)

    async def _write(self, taken: Sequence[Taken]) -> bool:
        for pause in PAUSES_BEFORE_OUTCOME_IS_LOST_SECONDS:
            try:
                await self._deliveries.conclude_sent(taken)
            except TemporaryFailure as failure:
                log.warning("outcomes wait for the database", messages=len(taken), reason=str(failure))
                await asyncio.sleep(pause)
            else:
                return True
        log.error("outcomes are lost; the messages will be sent again under their ids", messages=len(taken))
        return False
