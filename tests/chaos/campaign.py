"""Many faults, one after the other, in one world.

The services live on from fault to fault. Every few faults each of them is restarted once more and all those runs are
judged together again, which finds what only a memory had; then the world begins anew.
"""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.base import Fault, RunName
from tests.chaos.checker.evidence import Recovery
from tests.chaos.results import HOME, LATEST, Result, code_version, kept, last_line, machine, write_json
from tests.chaos.run_fault import Journals, judge, keep_evidence, open_journals, run_fault
from tests.chaos.world import NotDrained, World, drained

RENEW_EVERY = 8
# Sessions of one world. Brokers that saw many topics made and deleted have been unable to register after a crash.
MOST_SESSIONS = 3
AGAIN_WITHIN_SECONDS = 60.0


@dataclass(slots=True)
class Session:
    """The runs since the world was last renewed."""

    began: float
    results: list[Result] = field(default_factory=list)
    heard_within: float = 60.0

    @property
    def runs(self) -> list[str]:
        """Their names."""
        return [result.run for result in self.results]


class Campaign:
    """Runs faults with seeds and keeps every result."""

    def __init__(self, faults: Sequence[Fault], seeds: Sequence[int], *, fresh: bool) -> None:
        """fresh: run also what a valid result of this very code is kept of."""
        self._faults = faults
        self._seeds = seeds
        self._fresh = fresh
        self._commit = code_version()
        self.results: list[Result] = []
        self.not_run: dict[str, str] = {}
        self.is_complete = False

    async def run(self, directory: Path = HOME / "world") -> None:
        """Run what is to be run; the world is started only if there is something."""
        todo = self._todo()
        while todo:
            async with World.open(directory) as world:
                with open_journals(directory) as journals:
                    todo = await self._run_all(world, journals, todo)
        self._save()
        self.is_complete = bool(self.results)

    def _todo(self) -> Sequence[tuple[Fault, int]]:
        todo = []
        for seed in self._seeds:
            for fault in self._faults:
                before = None if self._fresh else kept(fault.code, seed, self._commit)
                if reason := fault.needs():
                    self.not_run[fault.code] = reason
                elif before is not None and before.valid:
                    self.results.append(before)
                    say(f"{fault.code:<4} seed {seed}  kept  {fault.title}")
                else:
                    todo.append((fault, seed))
        return todo

    async def _run_all(
        self, world: World, journals: Journals, todo: Sequence[tuple[Fault, int]]
    ) -> Sequence[tuple[Fault, int]]:
        """Run faults in one world; return what is left for another one.

        That is so after some sessions, and when the servers cannot be brought back: brokers can end in a state that
        they do not leave by themselves. That is no finding about our services; the run that met it is invalid all the
        same.
        """
        session: Session | None = None
        sessions = 0
        for number, (fault, seed) in enumerate(todo):
            if session is None:
                if sessions == MOST_SESSIONS:
                    return todo[number:]
                sessions += 1
                try:
                    await world.renew()
                except TimeoutError as error:
                    if not number:
                        raise
                    say(f"     the world cannot be renewed ({error}); another one is opened")
                    return todo[number:]
                session = Session(began=time.time())
            result = await run_fault(world, journals, fault, seed, self._commit)
            if result.only_vacuous:
                say(f"{fault.code:<4} seed {seed}  tested nothing ({result.verdict}) and is run once more")
                result = await run_fault(world, journals, fault, seed, self._commit, attempt=2)
            self._note(result)
            session.results.append(result)
            session.heard_within = max(session.heard_within, fault.heard_within)
            if not result.valid:
                session = None
            elif len(session.results) == RENEW_EVERY:
                await self._again(world, session)
                session = None
        if session is not None:
            await self._again(world, session)
        return ()

    async def _again(self, world: World, session: Session) -> None:
        """Restart every service and judge all runs of the session once more."""
        began, started = time.time(), time.monotonic()
        world.run = RunName("")
        broken = ""
        recovery: Recovery | None = None
        await asyncio.gather(*(service.restart() for service in world.services.values()))
        try:
            await world.wait_ready()
            await drained(world, world.run, AGAIN_WITHIN_SECONDS)
            recovery = Recovery(round(time.monotonic() - started, 1), AGAIN_WITHIN_SECONDS)
        except NotDrained as missing:
            recovery = Recovery(None, AGAIN_WITHIN_SECONDS, str(missing))
        except TimeoutError as error:
            broken = f"not ready after a restart of every service: {error}"
        window = (session.began, time.time())
        verdict = await judge(world, session.runs, [window], recovery, (), session.heard_within)
        names = ", ".join(session.runs)
        result = Result(
            code=f"again-{session.runs[0]}",
            title=f"every service restarted; {names} judged together",
            seed=session.results[0].seed,
            commit=self._commit,
            at=began,
            took_seconds=round(time.monotonic() - started, 1),
            seen=f"{len(world.services)} services restarted",
            count=len(world.services),
            recovery_seconds=recovery.seconds if recovery else None,
            broken=broken,
            counts=verdict.counts,
            proofs=verdict.proofs,
            why=verdict.why,
            figures=verdict.figures,
        )
        result.save()
        self._note(result)
        if not result.valid:
            keep_evidence(world, f"{result.code}-{self._commit}")

    def _note(self, result: Result) -> None:
        self.results.append(result)
        self._save()
        recovery = "never well again" if result.recovery_seconds is None else f"well in {result.recovery_seconds:g} s"
        word = "ok" if result.valid else "BAD"
        say(f"{result.code:<4} seed {result.seed}  {word:<4}  {result.title}")
        load = f"{result.figures.get('acked', 0)} events taken, {result.figures.get('reds', 0)} reds"
        say(f"     {result.seen}; {load}; {recovery}; took {result.took_seconds:.0f} s")
        if not result.valid:
            say(f"     {result.verdict}")
            for anomaly, reasons in result.why.items():
                for proof, reason in zip(result.proofs[anomaly], reasons, strict=True):
                    say(f"       {anomaly}: {proof}: {reason}")

    def _save(self) -> None:
        write_json(LATEST, summary(self.results, self.not_run, self._commit))


def summary(results: Sequence[Result], not_run: Mapping[str, str], commit: str) -> dict[str, object]:
    """Sum up a campaign for programs."""
    return {
        "at": time.time(),
        "commit": commit,
        "machine": machine(),
        "summary": last_line(results),
        "not_run": dict(not_run),
        "runs": [
            {
                "code": result.code,
                "seed": result.seed,
                "valid": result.valid,
                "verdict": result.verdict,
                "seen": result.seen,
                "recovery_seconds": result.recovery_seconds,
                "took_seconds": result.took_seconds,
            }
            for result in results
        ],
    }


def say(words: str) -> None:
    """Tell the terminal, at once."""
    print(words, file=sys.stdout, flush=True)
