"""A long comparison of the core with the reference: `RULES_SOAK=20000 python -m tests.rules.soak [first seed]`.

For each seed: the command's answer, the household lived event by event, and its rebuilt state must all agree.
"""

import json
import os
import sys
from datetime import date
from random import Random

from services.scorer.core.elimination import blockers_of
from services.scorer.core.state_codec import encode
from services.scorer.grade_command import grade_lines
from shared.policy import default_policies
from tests.rules.histories import random_case
from tests.rules.live import LiveHousehold, live_through, with_enrolment
from tests.rules.reference import grade_case

POLICIES = default_policies()


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


def main() -> int:
    """Compare as many seeds as RULES_SOAK says; ends with the number of disagreements."""
    seeds, first = int(os.environ.get("RULES_SOAK", "1000")), int(sys.argv[1]) if len(sys.argv) > 1 else 0
    found: list[str] = []
    for seed in range(first, first + seeds):
        for line in disagreements(seed):
            found.append(line)
            print(line, flush=True)
    print(f"rules soak: {seeds} histories from seed {first}, {len(found)} disagreements")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
