"""Does the judge find what is there, and nothing else? Planted bugs must be convicted, clean runs must pass.

    python -m tests.chaos.selftest [--bugs no_dedup,no_fencing] [--clean-seeds 10] [--fresh]

Clean runs come first: the load alone, and the faults of the short form in turn. Then each bug is planted into its
service, in a world of its own, under the fault that brings it out. Results are kept, so that a self-test that was cut
short goes on where it stopped. Ends with one line: selftest: N/20 convicted, F false alarms. Exit status: 0 if every
bug was convicted and no clean run was, 1 if not, 2 for a wrong command.
"""

import argparse
import asyncio
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import uvloop

from tests.chaos.base import Effect, Fault
from tests.chaos.campaign import say
from tests.chaos.faults import FAULTS
from tests.chaos.faults.pairs import both
from tests.chaos.hooks import Planted
from tests.chaos.planted_bugs import BUGS, QUIET, PlantedBug
from tests.chaos.results import EVIDENCE, HOME, Result, code_version
from tests.chaos.run_fault import Journals, open_journals, run_fault
from tests.chaos.world import World

DIRECTORY, KEPT = HOME / "selftest", HOME / "selftest-results"
QUIET_SECONDS = 9.0
SEED = 1


async def nothing_happens(world: World, rng: Random) -> Effect:
    """Only let the load go on."""
    await asyncio.sleep(QUIET_SECONDS)
    return Effect("nothing but the load", 1)


def trial_of(bug: PlantedBug) -> Fault:
    """The fault that brings a bug out, under the bug's own number: its results are not those of the campaign."""
    code = f"B{BUGS.index(bug) + 1}"
    if bug.shows_under == QUIET:
        return Fault(code, bug.name, nothing_happens)
    faults = [FAULTS[one] for one in bug.shows_under.split("+")]
    if len(faults) == 1:
        return replace(faults[0], code=code, title=bug.name)

    async def inject(world: World, rng: Random) -> Effect:
        return await both(world, rng, *faults)

    return Fault(code, bug.name, inject, recovers_within=max(fault.recovers_within for fault in faults))


def clean_trials(seeds: int) -> list[tuple[Fault, int]]:
    """Every second one is the load alone, the others are the short form's faults in turn."""
    short = [fault for fault in FAULTS.values() if fault.short and not fault.needs()]
    quiet = Fault("C0", "the load alone", nothing_happens)
    trials = []
    for seed in range(1, seeds + 1):
        fault = short[seed // 2 % len(short)]
        trials.append((quiet, seed) if seed % 2 else (replace(fault, code=f"C{fault.code[1:]}"), seed))
    return trials


class SelfTest:
    """Runs clean trials and bugs, and keeps the results."""

    def __init__(self, bugs: Sequence[PlantedBug], clean_seeds: int, *, fresh: bool) -> None:
        """fresh: run also what a result of this very code is kept of."""
        self._bugs = bugs
        self._clean = clean_trials(clean_seeds)
        self._fresh = fresh
        self._commit = code_version()
        self.convicted: list[str] = []
        self.alarms: list[str] = []

    async def run(self) -> None:
        """Run what is to be run; the world is started only if there is something."""
        clean = [(fault, seed) for fault, seed in self._clean if self._kept(fault, seed) is None]
        bugs = [bug for bug in self._bugs if self._kept(trial_of(bug), SEED) is None]
        for fault, seed in self._clean:
            if (fault, seed) not in clean and (result := self._kept(fault, seed)):
                self._note_clean(result)
        for bug in self._bugs:
            if bug not in bugs and (result := self._kept(trial_of(bug), SEED)):
                self._note_bug(bug, result)
        if clean or bugs:
            await self._run_all(clean, bugs)

    async def _run_all(self, clean: Sequence[tuple[Fault, int]], bugs: Sequence[PlantedBug]) -> None:
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        with open_journals(DIRECTORY) as journals:
            async with World.open(DIRECTORY) as world:
                if clean:
                    await world.renew()
                for fault, seed in clean:
                    result = await run_fault(world, journals, fault, seed, self._commit)
                    self._keep(result)
                    self._note_clean(result)
                for bug in bugs:
                    result = await self._try(world, journals, bug)
                    self._keep(result)
                    self._note_bug(bug, result)

    async def _try(self, world: World, journals: Journals, bug: PlantedBug) -> Result:
        """Run one bug in a world of its own; nothing of it is left in the next one's."""
        for service in world.services.values():
            service.planted = [Planted(bug.name)] if service.kind == bug.service else ()
        await world.renew()
        try:
            return await run_fault(world, journals, trial_of(bug), SEED, self._commit)
        finally:
            for service in world.services.values():
                service.planted = ()
                await service.end(at_once=True)
            shutil.rmtree(world.directory / "logs" / world.topic_prefix.rstrip("."), ignore_errors=True)

    def _kept(self, fault: Fault, seed: int) -> Result | None:
        return None if self._fresh else Result.load(KEPT / f"{fault.code}-{seed}-{self._commit}.json")

    def _keep(self, result: Result) -> None:
        """Put a result where the campaign's report does not look for its own."""
        KEPT.mkdir(parents=True, exist_ok=True)
        result.path.replace(KEPT / result.path.name)
        if result.code.startswith("B"):
            shutil.rmtree(EVIDENCE / f"{result.code}-{result.seed}-{result.commit}", ignore_errors=True)

    def _note_clean(self, result: Result) -> None:
        if result.valid:
            say(f"clean    seed {result.seed:<3} no alarm   {result.title}; took {result.took_seconds:.0f} s")
        else:
            self.alarms.append(result.code)
            say(f"clean    seed {result.seed:<3} ALARM      {result.title}: {result.verdict}")

    def _note_bug(self, bug: PlantedBug, result: Result) -> None:
        by = [anomaly for anomaly in sorted(bug.anomalies) if result.counts.get(anomaly)]
        if by:
            self.convicted.append(bug.name)
            proof = result.why[by[0]][0]
            words = f"convicted  {', '.join(f'{result.counts[one]} {one}' for one in by)}: {proof}"
        else:
            words = f"ESCAPED    found: {result.verdict}; seen: {result.seen}"
        say(f"{bug.service:<8} {bug.name:<34} {bug.shows_under:<8} {words}; took {result.took_seconds:.0f} s")


def chosen(words: str) -> list[PlantedBug]:
    """Return the bugs that words name. Raises ValueError."""
    if words == "all":
        return list(BUGS)
    by_name = {bug.name: bug for bug in BUGS}
    names = [name.strip() for name in words.split(",") if name.strip()]
    if unknown := [name for name in names if name not in by_name]:
        raise ValueError(f"no such bug: {', '.join(unknown)}; there are {', '.join(by_name)}")
    return [by_name[name] for name in names]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the self-test; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.selftest", description="Test the judge of the chaos runs."
    )
    parser.add_argument("--bugs", default="all", help="all, none (an empty text), or names with commas")
    parser.add_argument("--clean-seeds", type=int, default=10, help="how many clean runs")
    parser.add_argument("--fresh", action="store_true", help="also run what a result is kept of")
    given = parser.parse_args(arguments)
    try:
        bugs = chosen(given.bugs)
    except ValueError as error:
        parser.error(str(error))
    test = SelfTest(bugs, given.clean_seeds, fresh=given.fresh)
    uvloop.run(test.run())
    say(f"selftest: {len(test.convicted)}/{len(bugs)} convicted, {len(test.alarms)} false alarms")
    return 0 if len(test.convicted) == len(bugs) and not test.alarms else 1


if __name__ == "__main__":
    sys.exit(main())
