"""A long comparison of the core with the reference: `python -m tests.rules.soak [histories] [first seed]`.

For each seed: the command's answer, the household lived event by event, and its rebuilt state must all agree, in every
field and in the elimination blockers. For every twentieth seed also: the result of each of the 400 days after the last
event changes on no day that the core had not called due. Uses all cores; exits 1 if anything differs.
"""

import json
import multiprocessing
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from random import Random

from services.scorer.core.elimination import blockers_of
from services.scorer.core.state_codec import encode
from services.scorer.grade_command import grade_lines
from shared.policy import default_policies
from tests.rules.due_days import DueDays, walk
from tests.rules.histories import random_case
from tests.rules.live import LiveHousehold, live_through, with_enrolment
from tests.rules.reference import grade_case

POLICIES = default_policies()
DEFAULT_HISTORIES = 20_000
ONE_WALK_IN = 20
CHUNK = 20


@dataclass
class Tally:
    """What was compared so far."""

    histories: int = 0
    differences: list[str] = field(default_factory=list)
    days: DueDays = field(default_factory=DueDays)
    walks: int = 0


def disagreements(seed: int) -> list[str]:
    """What does not agree for one seed."""
    random = Random(seed)
    case = random_case(random, most_events=14, most_days=random.choice([20, 120, 500]))
    expected, blockers = grade_case(case)
    answered = json.loads(next(grade_lines([json.dumps(case)], POLICIES, elimination=True)))
    found = []
    if answered != {"id": "made-up"} | expected | {"elimination_blockers": blockers}:
        found.append(f"seed {seed}: the command answers {answered}, the reference {expected} {blockers}")
    household = LiveHousehold(POLICIES)
    for household in live_through(with_enrolment(case, random.randint(0, 10)), random, POLICIES):
        if encode(household.rebuilt().state) != encode(household.state):
            found.append(f"seed {seed}: folded state differs from its replay after {len(household.ledger)} events")
    folded = household.tick(date.fromisoformat(case["as_of"]))
    decision = folded.decision
    if decision is None or decision.result() != expected or list(blockers_of(folded.state, decision)) != blockers:
        found.append(f"seed {seed}: lived {decision and decision.result()}, the reference {expected} {blockers}")
    return found


def compared(seed: int) -> tuple[list[str], DueDays | None]:
    """Everything about one seed."""
    days = walk(seed) if seed % ONE_WALK_IN == 0 else None
    return disagreements(seed) + (days.wrong if days else []), days


def soak(seeds: range) -> Iterator[Tally]:
    """Compare all seeds on all cores; yields the tally so far after each."""
    tally = Tally()
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for found, days in pool.imap_unordered(compared, seeds, CHUNK):
            tally.histories += 1
            tally.differences += found
            if days:
                tally.walks += 1
                tally.days += days
            yield tally


def main(arguments: list[str]) -> int:
    """Compare, and end with the number of differences."""
    histories, first = (*(int(word) for word in arguments), DEFAULT_HISTORIES)[0], 0
    if len(arguments) > 1:
        first = int(arguments[1])
    tally, shown = Tally(), 0
    for tally in soak(range(first, first + histories)):
        for line in tally.differences[shown:]:
            print(line, flush=True)
        shown = len(tally.differences)
        if sys.stderr.isatty():
            print(f"\r{tally.histories} of {histories} histories, {shown} differences", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(f"next_due_on: {tally.walks} households over 400 days, {tally.days}")
    print(f"rules-soak: {tally.histories} histories, {len(tally.differences)} differences")
    return 1 if tally.differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
