"""Runs the real `shouwang-scorer serve` and writes down what it tells the database:

    python -m tests.bench.scoring.record_scorer FILE STATEMENT

FILE gets the committed transactions that hold STATEMENT, each pickled, in the order of their ends. SIGTERM ends it.
"""

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

from services.scorer.main import cli
from tests.bench.scoring.recording import Recorder, Transaction


def recorded(path: Path) -> Iterator[Transaction]:
    """Read a recording."""
    with path.open("rb") as file:
        while file.peek(1):
            yield pickle.load(file)


def main(path: Path, holding: str) -> None:
    """Serve until told to stop."""
    with path.open("wb") as file, Recorder(holding, lambda one: pickle.dump(one, file)):
        cli(["serve"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
