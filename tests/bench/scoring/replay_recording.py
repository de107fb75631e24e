"""Tells a database a recording again, as a process of its own:

    python -m tests.bench.scoring.replay_recording RECORDING ANSWER [--reads]

DATABASE_URL names the database. Everything is read into memory before the first statement. ANSWER gets what came of it,
as JSON. --reads: also the statements that only read.
"""

import argparse
import gc
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import uvloop

from deploy.local.databases import dsn_of
from tests.bench.scoring.record_scorer import recorded
from tests.bench.scoring.replaying import Replay


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, tell, answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recording", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--reads", action="store_true")
    given = parser.parse_args(arguments)
    replay = Replay(list(recorded(given.recording)), _plain(os.environ["DATABASE_URL"]), reads=given.reads)
    # Nothing of what was read will ever be garbage; looking through it would be counted as the database's time.
    gc.freeze()
    given.answer.write_text(json.dumps(asdict(uvloop.run(replay.run()))), encoding="utf-8")


def _plain(url: str) -> str:
    """The address without the name of a driver."""
    return dsn_of(url, url.rpartition("/")[2])


if __name__ == "__main__":
    main()
