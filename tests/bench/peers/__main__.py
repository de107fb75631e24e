"""Compare: `python -m tests.bench.peers [--entrants quix,bare] [--scale 0.01] [--rounds 3]`.

Exit status: 0 if every entrant that can run here did the job rightly, 1 if one did not, 2 for a wrong command.
"""

import argparse
import sys
from collections.abc import Sequence

import uvloop

from deploy.local.places import REPOSITORY
from tests.bench.document import DOCUMENT
from tests.bench.peers.entrants import chosen
from tests.bench.peers.figures import lines
from tests.bench.peers.run import ROUNDS, Comparison, compare
from tests.bench.peers.table import lines_of, write_document
from tests.bench.results import write_records

STOPPED = 130
RESULTS = REPOSITORY / ".local" / "bench" / "peers.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, write and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description="The toy job, by ours and others.")
    parser.add_argument(
        "--entrants", default="", help="names with commas between; without it all; ours is always there"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of events and households: 0.01 tries it out")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each entrant, in turn")
    given = parser.parse_args(arguments)
    if not 0 < given.scale <= 10 or given.rounds < 1:
        parser.error("--scale must be above 0 and at most 10, --rounds at least 1")
    names = [part.strip() for part in given.entrants.split(",") if part.strip()]
    try:
        entrants = chosen(names)
    except ValueError as error:
        parser.error(str(error))
    try:
        comparison = uvloop.run(compare(entrants, scale=given.scale, rounds=given.rounds))
    except KeyboardInterrupt:
        sys.stderr.write("stopped by hand; nothing was written\n")
        return STOPPED
    _write(comparison, given.scale)
    print("\n".join(lines_of(comparison.outcomes, comparison.circumstances)))
    if not names and given.scale == 1.0 and given.rounds >= ROUNDS:
        write_document(DOCUMENT, comparison.outcomes, comparison.circumstances)
    return 1 if comparison.faulty else 0


def _write(comparison: Comparison, scale: float) -> None:
    write_records(RESULTS, lines(comparison.outcomes, {"scale": scale} | comparison.circumstances))


if __name__ == "__main__":
    sys.exit(main())
