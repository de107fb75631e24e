"""The chaos tests' hooks: each named point is passed where its name says, and what waits there goes off once.

That the points lie on the way of real events is shown by the faults F1 to F10, which fail when their crash never comes.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata
from sqlalchemy.ext.asyncio import AsyncConnection

import shared.db.clock
import shared.lifecycle
from deploy.local.places import REPOSITORY
from services.ingest.accept_event import AcceptEvents
from services.notifier.core.retries import Attempt
from services.notifier.deliver import Deliver
from services.notifier.raise_alert import RaiseAlert
from services.notifier.store.alerts import AlertStore
from services.notifier.store.claims import Claims
from services.scorer.score_event import ScoreEvents
from services.scorer.store import ScorerStore
from shared.bus.kafka.consumer import KafkaConsumer, _Listener
from shared.bus.kafka.lanes import Lanes
from shared.bus.kafka.publisher import KafkaPublisher
from shared.clock import SystemClock
from shared.db import outbox
from shared.db.driver import Driver
from shared.topics import HOUSEHOLD_EVENTS
from tests.chaos import points
from tests.chaos.hooks import (
    MARKS_VARIABLE,
    POINTS,
    BlockLoop,
    Clock,
    Crash,
    DatabaseErrors,
    Hook,
    Planted,
    Raise,
    ends_with_process,
    read_hooks,
    write_hooks,
)
from tests.chaos.install import Patches, Planned, install

Steps = list[str]


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Read what hooks have written."""
    file = tmp_path / "marks"
    file.touch()
    monkeypatch.setenv(MARKS_VARIABLE, str(file))
    return lambda: file.read_text(encoding="utf-8")


@pytest.fixture
def steps(marks: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> Steps:
    """What the services did, with everything that needs a server left out."""
    done: Steps = []

    def step(owner: type, name: str, answer: Any) -> None:
        async def stub(*arguments: Any, **_: Any) -> Any:
            done.append(name)
            return answer

        monkeypatch.setattr(owner, name, stub)

    @asynccontextmanager
    async def transaction(*_: Any) -> AsyncIterator[None]:
        done.append("begin")
        yield
        done.append("commit")

    async def partitions_for(*_: Any) -> set[int]:
        return {0}

    async def send_batch(_: Any, batch: BatchBuilder, *__: Any, **___: Any) -> "asyncio.Future[RecordMetadata]":
        done.extend(["send"] * batch.record_count())
        written: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        written.set_result(RecordMetadata("t", 0, None, 7, None, 0, 0))
        return written

    async def batch(handler: Any, values: list[bytes]) -> Any:
        return await handler.publish_many(HOUSEHOLD_EVENTS, [("h", value) for value in values], within_seconds=1)

    async def handle(handler: Any, statements: list[Any]) -> None:
        async with handler.store.transaction("partition"):
            for statement in statements:
                await AsyncConnection.execute(Nobody(), statement)

    step(AsyncConnection, "execute", None)
    step(Driver, "fetch", None)
    step(Driver, "copy", None)
    step(KafkaConsumer, "fetch", {"partition": ["record"]})
    step(Claims, "claim", ["due"])
    step(Deliver, "_attempt", Attempt("sent", receipt="250"))
    monkeypatch.setattr(AIOKafkaProducer, "partitions_for", partitions_for)
    monkeypatch.setattr(AIOKafkaProducer, "create_batch", lambda _: BatchBuilder(1_000, 0))
    monkeypatch.setattr(AIOKafkaProducer, "send_batch", send_batch)
    monkeypatch.setattr(AcceptEvents, "batch", batch)
    for store, handler in ((ScorerStore, ScoreEvents), (AlertStore, RaiseAlert)):
        monkeypatch.setattr(store, "transaction", transaction)
        monkeypatch.setattr(handler, "handle", handle)
    return done


@pytest.fixture
def put_in() -> Iterator[Any]:
    """Install hooks for one test."""
    made: list[Patches] = []

    def do(service: str, *hooks: Hook) -> None:
        made.append(install(service, hooks))

    yield do
    for patches in reversed(made):
        patches.undo()


class Nobody:
    """Stands where a method wants its object and does not look at it."""

    store = ScorerStore.__new__(ScorerStore)
    alerts = AlertStore.__new__(AlertStore)


class StillProducer(AIOKafkaProducer):  # type: ignore[misc]
    """A producer that was never connected."""

    def __init__(self) -> None:
        self._closed = True


def publisher() -> KafkaPublisher:
    made = KafkaPublisher("nowhere", "test")
    made._lanes = Lanes(StillProducer())
    return made


def scorer() -> Any:
    handler = ScoreEvents.__new__(ScoreEvents)
    handler.store = Nobody.store  # type: ignore[attr-defined]
    return handler


def notifier() -> Any:
    handler = RaiseAlert.__new__(RaiseAlert)
    handler.store = Nobody.alerts  # type: ignore[attr-defined]
    return handler


async def publish() -> None:
    await publisher().publish(HOUSEHOLD_EVENTS, "h", b"1", within_seconds=1)


async def publish_many() -> None:
    await AcceptEvents.batch(publisher(), [b"1", b"2", b"3"])  # type: ignore[arg-type,call-arg]


async def assign() -> None:
    _Listener().on_partitions_assigned([])


async def deliver() -> None:
    await Claims.claim(Nobody())  # type: ignore[arg-type,call-arg]
    await Deliver._attempt(Nobody(), None)  # type: ignore[arg-type]


async def fetch() -> None:
    await KafkaConsumer.fetch(Nobody(), 1, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "hook", "work", "done"),
    [
        ("ingest", Raise("ingest.before_send"), publish, []),
        ("ingest", Raise("ingest.after_ack"), publish, ["send"]),
        ("ingest", Raise("ingest.after_ack"), publish_many, ["send", "send", "send"]),
        ("ingest", Raise("ingest.batch_item", 3), publish_many, ["send", "send"]),
        ("scorer", Raise("scorer.after_fetch"), fetch, ["fetch"]),
        ("scorer", Raise("scorer.on_assigned"), assign, []),
        ("scorer", Raise("scorer.before_statement", 3), lambda: scorer().handle("abc"), ["begin"] + ["execute"] * 2),
        ("scorer", Raise("scorer.before_commit"), lambda: scorer().handle("a"), ["begin", "execute"]),
        ("scorer", Raise("scorer.after_commit"), lambda: scorer().handle("a"), ["begin", "execute", "commit"]),
        ("scorer", Raise("relay.before_remove"), lambda: AsyncConnection.execute(Nobody(), outbox._REMOVE), []),
        ("notifier", Raise("notifier.in_transaction"), lambda: notifier().handle("a"), ["begin", "execute"]),
        ("notifier", Raise("notifier.after_commit"), lambda: notifier().handle("a"), ["begin", "execute", "commit"]),
        ("notifier", Raise("notifier.after_claim"), deliver, ["claim"]),
        ("notifier", Raise("notifier.after_send"), deliver, ["claim", "_attempt"]),
    ],
)
async def test_a_point_lies_where_its_name_says_and_goes_off_once(
    service: str, hook: Raise, work: Any, done: Steps, steps: Steps, marks: Callable[[], str], put_in: Any
) -> None:
    put_in(service, hook)

    with pytest.raises(Planned, match=hook.point):
        await work()

    assert steps == done
    assert marks() == f"{hook.point}\n"
    await work()
    assert marks() == f"{hook.point}\n"


def test_every_point_is_tried_above() -> None:
    (parameters,) = test_a_point_lies_where_its_name_says_and_goes_off_once.pytestmark
    tried = {hook.point for _, hook, *_ in parameters.args[1]}
    assert tried == {point for points in POINTS.values() for point in points}


async def test_the_nth_passing_is_counted_over_the_life_of_the_process(steps: Steps, put_in: Any) -> None:
    put_in("scorer", Raise("scorer.after_fetch", 3))

    await fetch()
    await fetch()
    with pytest.raises(Planned):
        await fetch()


async def test_statements_are_counted_within_each_transaction(steps: Steps, put_in: Any) -> None:
    put_in("scorer", Raise("scorer.before_statement", 3))

    await scorer().handle("ab")
    await scorer().handle("ab")
    with pytest.raises(Planned):
        await scorer().handle("abc")


async def test_statements_that_go_past_sqlalchemy_count_too(
    steps: Steps, marks: Callable[[], str], put_in: Any
) -> None:
    put_in("scorer", Raise("scorer.before_statement", 3), DatabaseErrors("40P01", 2))

    async def work(*_: Any) -> None:
        driver = Driver(Nobody(), None)  # type: ignore[arg-type]
        await driver.fetch("statement")
        await driver.copy("table", [], [])
        await driver.fetch("statement")

    counted = points._counting(work)
    with pytest.raises(Planned):
        await counted()

    assert steps == ["fetch", "execute", "copy"]
    assert marks() == "sqlstate 40P01\nscorer.before_statement\n"


async def test_each_kth_statement_is_preceded_by_an_error_of_the_server(
    steps: Steps, marks: Callable[[], str], put_in: Any
) -> None:
    put_in("scorer", DatabaseErrors("40P01", 2))

    for _ in range(4):
        await AsyncConnection.execute(Nobody(), "statement")  # type: ignore[call-overload]

    assert steps == ["execute"] * 6
    assert marks() == "sqlstate 40P01\n" * 2


def test_the_clock_follows_its_file_and_the_steady_clock_only_its_pace(
    tmp_path: Path, marks: Callable[[], str], put_in: Any
) -> None:
    file, clock = tmp_path / "clock", SystemClock()
    put_in("scorer", Clock(str(file)))
    steady = shared.db.clock.time

    first, steady_first = clock.now(), steady.monotonic()
    file.write_text("3600 1.5")
    ahead = clock.now()
    file.unlink()
    back = clock.now()

    assert timedelta(hours=1) <= ahead - first < timedelta(hours=1, seconds=20)
    assert timedelta(0) <= back - first < timedelta(seconds=20)
    assert 0 <= steady.monotonic() - steady_first < 20
    assert marks() == "clock 3600 1.5\nclock 0\n"


async def test_the_loop_stands_still_once_when_the_file_says_so(
    tmp_path: Path, marks: Callable[[], str], put_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, given = tmp_path / "block", {}

    async def run_service(server: object, tasks: dict[str, Any]) -> None:
        given.update(tasks)

    monkeypatch.setattr(shared.lifecycle, "run_service", run_service)
    put_in("scorer", BlockLoop(str(file)))
    await shared.lifecycle.run_service(None, {"consume": None})  # type: ignore[arg-type,dict-item]
    stop = asyncio.Event()
    running = asyncio.create_task(given["block the loop"](stop))
    file.write_text("0.01")

    async with asyncio.timeout(5):
        while file.exists():
            await asyncio.sleep(0.01)
    stop.set()
    await running

    assert set(given) == {"consume", "block the loop"}
    assert marks() == "blocked 0.01\n"


def test_a_crash_is_a_kill_and_leaves_its_mark(marks: Callable[[], str]) -> None:
    program = (
        "from tests.chaos.hooks import Crash; from tests.chaos.install import Trips\n"
        "Trips([Crash('scorer.after_fetch')]).passing('scorer.after_fetch')"
    )

    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, env={**os.environ}, check=False)

    assert ended.returncode == -signal.SIGKILL
    assert marks() == "scorer.after_fetch\n"


def test_hooks_survive_the_way_to_the_child() -> None:
    hooks: list[Hook] = [
        Crash("ingest.after_ack", 2),
        Raise("scorer.after_fetch"),
        DatabaseErrors("40001", 7),
        Planted("no_dedup"),
        Clock("/c"),
        BlockLoop("/b"),
    ]

    assert read_hooks(write_hooks(hooks)) == hooks
    assert [ends_with_process(hook) for hook in hooks] == [True, True, False, False, False, False]


def test_a_point_that_no_service_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no service has a point"):
        write_hooks([Crash("scorer.nowhere")])
