"""One run: households are enrolled, the load goes on, a fault comes and goes, and the judge looks at what is left.

The load starts before the fault and ends after it was healed. Then every event whose fate the client does not know is
sent again until it does, and everything that is under way may end. Only then the verdict is asked for.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.chaos.base import Effect, Fault, RunName
from tests.chaos.checker import Evidence, Recovery, Sample, Verdict, check
from tests.chaos.checker.evidence import CLIENT, EVENTS, EVIDENCE_FILE, JOURNALS, TABLES_FILE
from tests.chaos.journal import Journal
from tests.chaos.maker import CANARIES
from tests.chaos.results import EVIDENCE, Result
from tests.chaos.workload import Workload
from tests.chaos.world import NotDrained, World, drained

WARM_UP_SECONDS = 3.0
TAIL_SECONDS = 3.0
RETRY_WITHIN_SECONDS = 60.0
SECOND_DRAIN_SECONDS = 60.0
"""What is only slow must not be taken for lost, so a run that is not done in time gets this time once more."""
SAMPLE_EVERY_SECONDS = 1.0
LEAST_OK_SHARE = 0.3
LEAST_REDS = 50
NOTHING_SEEN = Effect("nothing", 0)


@dataclass(slots=True)
class Course:
    """What happened in a run so far. window: the fault's, unix seconds."""

    effect: Effect = NOTHING_SEEN
    window: tuple[float, float] = (0.0, 0.0)
    recovery: Recovery | None = None
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Journals:
    """The client's two journals, which all runs of a campaign share."""

    client: Journal
    events: Journal


@contextmanager
def open_journals(directory: Path) -> Iterator[Journals]:
    """Begin all journals anew: what was left here belongs to a database that is gone."""
    for name in JOURNALS:
        if (directory / name).exists():
            os.truncate(directory / name, 0)
    with Journal(directory / CLIENT) as client, Journal(directory / EVENTS) as events:
        yield Journals(client, events)


async def run_fault(
    world: World, journals: Journals, fault: Fault, seed: int, commit: str, *, attempt: int = 1
) -> Result:
    """Run one fault and judge it. attempt: in the same world, so that each has households of its own."""
    began, started = time.time(), time.monotonic()
    world.run = RunName(f"{fault.code}s{seed}" + ("" if attempt == 1 else f"a{attempt}"))
    load = world.load = Workload(
        base_url=lambda: world.services["ingest"].base_url,
        api_key=world.api_key,
        run=world.run,
        seed=seed,
        journal=journals.client,
        events=journals.events,
    )
    samples: list[Sample] = []
    try:
        async with _sampled(world, samples):
            course = await _go_through(world, fault, Random(f"{fault.code} {seed}"))
        share = load.counts.ok / max(1, load.counts.ok + load.counts.failed + load.counts.info)
    finally:
        await load.close()
        world.load = None
    verdict = await judge(world, (world.run,), [course.window], course.recovery, samples, fault.heard_within)
    result = Result(
        code=fault.code,
        title=fault.title,
        seed=seed,
        commit=commit,
        at=began,
        took_seconds=round(time.monotonic() - started, 1),
        seen=course.effect.seen,
        count=course.effect.count,
        recovery_seconds=course.recovery.seconds if course.recovery else None,
        vacuous=_vacuous(course, share, verdict.figures),
        broken=course.broken,
        counts=verdict.counts,
        proofs=verdict.proofs,
        why=verdict.why,
        figures=verdict.figures,
        run=world.run,
    )
    result.save()
    if not result.valid:
        keep_evidence(world, f"{fault.code}-{seed}-{commit}")
    return result


async def judge(
    world: World,
    runs: Sequence[str],
    windows: Sequence[tuple[float, float]],
    recovery: Recovery | None,
    samples: Sequence[Sample],
    heard_within: float,
) -> Verdict:
    """Ask the judge about one run or several."""
    evidence = Evidence(
        directory=world.directory,
        dsn=world.postgres.dsn,
        run=tuple(runs),
        windows=tuple(windows),
        recovery=recovery,
        samples=tuple(samples),
        logs=_logs(world),
        canaries=CANARIES,
        receipt_fault_seconds=heard_within,
    )
    return await check(evidence)


def keep_evidence(world: World, name: str) -> Path:
    """Copy what a verdict rests on to where no later run writes; return that folder."""
    kept = EVIDENCE / name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for path in (*world.directory.glob("*.jsonl"), *_logs(world)):
        shutil.copy(path, kept)
    for file in (EVIDENCE_FILE, TABLES_FILE):
        if (world.directory / file).exists():
            (world.directory / file).rename(kept / file)
    return kept


def _logs(world: World) -> tuple[Path, ...]:
    """The logs of the services since the world was last renewed."""
    return tuple(sorted((world.directory / "logs" / world.topic_prefix.rstrip(".")).glob("*.log")))


async def _go_through(world: World, fault: Fault, rng: Random) -> Course:
    course = Course()
    load = world.load
    await load.enrol()
    await load.start(fault.rate)
    await asyncio.sleep(WARM_UP_SECONDS)
    begins = time.time()
    world.note("begins", fault=fault.code)
    try:
        async with asyncio.timeout(fault.injected_within):
            course.effect = await fault.inject(world, rng)
    except Exception as error:  # a fault that broke off is a result as well; the world must be healed and judged
        course.broken = f"the fault broke off: {type(error).__name__}: {error}"
    world.note("ends", fault=fault.code, seen=course.effect.seen, count=course.effect.count, broken=course.broken)
    ended = time.monotonic()
    try:
        await world.heal()
    except TimeoutError as error:
        course.broken = course.broken or f"not ready again: {error}"
    course.window = (begins, time.time())
    world.note("healed", fault=fault.code)
    await asyncio.sleep(TAIL_SECONDS)
    await load.stop()
    left = await load.retry_unknown(time.monotonic() + RETRY_WITHIN_SECONDS)
    if left:
        course.broken = course.broken or f"{left} events found no answer within {RETRY_WITHIN_SECONDS:g} s"
    course.recovery = await _recovery(world, fault.recovers_within, ended)
    return course


async def _recovery(world: World, bound: float, since: float) -> Recovery:
    left = max(1.0, since + bound - time.monotonic())
    try:
        await drained(world, world.run, left)
    except NotDrained as missing:
        late = f"after {bound:g} s: {missing}"
        try:
            await drained(world, world.run, SECOND_DRAIN_SECONDS)
        except NotDrained as still:
            return Recovery(None, bound, f"{late}; {SECOND_DRAIN_SECONDS:g} s later: {still}")
        return Recovery(round(time.monotonic() - since, 1), bound, late)
    return Recovery(round(time.monotonic() - since, 1), bound)


def _vacuous(course: Course, ok_share: float, figures: Mapping[str, object]) -> list[str]:
    reds = figures.get("reds", 0)
    reasons = []
    if course.effect.count == 0 and not course.broken:
        reasons.append("no visible effect")
    if ok_share < LEAST_OK_SHARE:
        reasons.append(f"only {ok_share:.0%} of the sends were taken")
    if not isinstance(reds, int) or reds < LEAST_REDS:
        reasons.append(f"only {reds} households turned red")
    return reasons


@asynccontextmanager
async def _sampled(world: World, samples: list[Sample]) -> AsyncIterator[None]:
    async def look() -> None:
        while True:
            now = time.time()
            for service in world.services.values():
                samples.append(Sample(now, service.name, service.memory_bytes(), service.open_files()))
            await asyncio.sleep(SAMPLE_EVERY_SECONDS)

    looking = asyncio.create_task(look(), name="samples")
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait([looking])
        if not looking.cancelled():
            looking.result()
