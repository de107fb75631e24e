"""`python -m tests.chaos.checker DIR [--dsn ADDRESS]`: judge stored evidence once more and print the verdict.

Without --dsn the tables that were kept with the evidence are judged. Exit status 0: nothing was found.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from tests.chaos.checker import Evidence, check


def main() -> int:
    """Judge the evidence that the command line names."""
    words = argparse.ArgumentParser(prog="python -m tests.chaos.checker", description="Judge stored evidence again.")
    words.add_argument("directory", type=Path, help="where a run left its evidence")
    words.add_argument(
        "--dsn", default="", help="judge what stands in this database now, not the tables that were kept"
    )
    given = words.parse_args()
    verdict = asyncio.run(check(Evidence.load(given.directory, dsn=given.dsn)))
    print(verdict.to_json())
    return 0 if verdict.valid else 1


if __name__ == "__main__":
    sys.exit(main())
