"""Run faults against the whole system and judge what became of every event.

    python -m tests.chaos --faults all|short|F14,F36 --seeds 1,2,3 [--fresh] [--report]

Ends with one line: chaos: N runs, L lost, D double, P phantom, U unexplained. Exit status: 0 if all was run
and nothing was found, 1 if not, 2 for a wrong command.
"""

import argparse
import sys
from collections.abc import Sequence

import uvloop

from deploy.local.run import TELLABLE
from tests.chaos.base import Fault
from tests.chaos.campaign import Campaign, say
from tests.chaos.faults import FAULTS, NOT_INJECTED
from tests.chaos.report import write_report
from tests.chaos.results import last_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Inject faults and judge what is left.")
    parser.add_argument("--faults", default="short", help="all, short, or codes such as F14,F36")
    parser.add_argument("--seeds", default="1", help="numbers such as 1,2,3")
    parser.add_argument("--fresh", action="store_true", help="also run what a valid result is kept of")
    parser.add_argument("--report", action="store_true", help="write docs/fault-report.md from the kept results")
    given = parser.parse_args(arguments)
    try:
        faults, seeds = chosen(given.faults), [int(seed) for seed in given.seeds.split(",")]
    except ValueError as error:
        parser.error(str(error))
    campaign = Campaign(faults, seeds, fresh=given.fresh)
    try:
        uvloop.run(campaign.run())
    except KeyboardInterrupt:
        say("stopped by hand; the next campaign goes on from here")
    except TELLABLE as error:
        say(str(error))
    for code, reason in {**(NOT_INJECTED if given.faults == "all" else {}), **campaign.not_run}.items():
        say(f"{code:<4} not run: {reason}")
    if given.report:
        say(f"written: {write_report()}")
    say(last_line(campaign.results))
    return 0 if campaign.is_complete and all(result.valid for result in campaign.results) else 1


def chosen(words: str) -> list[Fault]:
    """Return the faults that words name. Raises ValueError."""
    if words == "all":
        return list(FAULTS.values())
    if words == "short":
        return [fault for fault in FAULTS.values() if fault.short]
    codes = [code.strip().upper() for code in words.split(",")]
    for code in codes:
        if code not in FAULTS:
            why = NOT_INJECTED.get(code, "no such fault")
            raise ValueError(f"{code}: {why}")
    return [FAULTS[code] for code in codes]


if __name__ == "__main__":
    sys.exit(main())
