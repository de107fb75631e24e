"""Closes what belongs to the library within a bound: while brokers are cut off, it may wait for ever."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiokafka.errors import KafkaError

from shared.logs import get_logger

log = get_logger(__name__)


async def closed_within(seconds: float, closing: Coroutine[Any, Any, None], what: str) -> bool:
    """Run the closing of something; False, with a line in the log, where it did not end well or in time.

    In a task of its own: a closing that is cut short leaves cancelled futures in the library, and who waits for one of
    these would take himself for cancelled.
    """
    task = asyncio.create_task(closing, name=f"close {what}")
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        is_late = task.cancel()
    if is_late:
        problem = "TimeoutError"
    elif task.cancelled():
        problem = "CancelledError"
    elif (error := task.exception()) is None:
        return True
    elif isinstance(error, KafkaError | OSError):
        problem = type(error).__name__
    else:
        raise error
    log.warning("not closed in time, or not well", what=what, reason=problem)
    return False
