"""A process lives exactly as long as all of its tasks do."""

import asyncio
import os
import signal

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from shared.http.protocol_limits import HttpLimits
from shared.lifecycle import TaskDied, every, http_server, run_service
from shared.metrics import ServiceMetrics


def server():
    return http_server(FastAPI(), "127.0.0.1", 0, HttpLimits(), ServiceMetrics("tests", CollectorRegistry()))


async def wait_for_stop(stop: asyncio.Event) -> None:
    await stop.wait()


async def test_a_task_that_raises_ends_the_process_with_its_error() -> None:
    async def fails(stop: asyncio.Event) -> None:
        await asyncio.sleep(0.05)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await run_service(server(), {"good": wait_for_stop, "bad": fails})


async def test_a_task_that_returns_unasked_ends_the_process() -> None:
    async def returns(stop: asyncio.Event) -> None:
        await asyncio.sleep(0.05)

    with pytest.raises(TaskDied, match="quick"):
        await run_service(server(), {"good": wait_for_stop, "quick": returns})


async def test_a_task_that_takes_itself_for_cancelled_ends_the_process() -> None:
    async def is_cancelled(stop: asyncio.Event) -> None:
        await asyncio.sleep(0.05)
        raise asyncio.CancelledError

    with pytest.raises(TaskDied, match="misled"):
        await run_service(server(), {"good": wait_for_stop, "misled": is_cancelled})


async def test_a_stop_signal_lets_each_task_finish_its_work() -> None:
    finished: list[str] = []

    async def drains(stop: asyncio.Event) -> None:
        await stop.wait()
        await asyncio.sleep(0.1)
        finished.append("drained")

    asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)
    await run_service(server(), {"drains": drains})
    assert finished == ["drained"]


async def test_repeated_work_goes_on_at_once_while_there_is_any() -> None:
    stop, done = asyncio.Event(), []

    async def step() -> bool:
        done.append(len(done))
        if len(done) == 5:
            stop.set()
        return True

    await asyncio.wait_for(every(60, step, stop), 1)
    assert done == [0, 1, 2, 3, 4]
