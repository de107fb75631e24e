"""Tells a database a recording again, as a process of its own:

    python -m tests.bench.scoring.replay_recording RECORDING ANSWER [--partitions 0,2,4] [--reads]

DATABASE_URL names the database. Everything is read into memory first; then ANSWER.ready appears, and the telling begins
when somebody makes ANSWER.go. ANSWER gets what came of it, as JSON. --partitions: only batches of these.
"""

import argparse
import asyncio
import gc
import json
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import uvloop

from tests.bench.scoring.record_scorer import recorded
from tests.bench.scoring.recording import Transaction
from tests.bench.scoring.replaying import ADVANCE, Replay, Replayed

LOOK_EVERY_SECONDS = 0.002


def of_partitions(transactions: Sequence[Transaction], partitions: Collection[int]) -> list[Transaction]:
    """Only the batches of some partitions, each after those of them that it came after."""
    chosen: list[Transaction] = []
    before = [0]
    for one in transactions:
        is_ours = _partition_of(one) in partitions
        if is_ours:
            chosen.append(replace(one, after=before[min(one.after, len(before) - 1)]))
        before.append(before[-1] + is_ours)
    return chosen


def _partition_of(transaction: Transaction) -> int:
    return int(next(one for one in transaction.statements if ADVANCE in one.text).value("partition"))


async def _tell(transactions: Sequence[Transaction], answer: Path, reads: bool) -> Replayed:
    replay = Replay(transactions, os.environ["DATABASE_URL"].replace("+asyncpg", ""), reads=reads)
    # Nothing of what was read will ever be garbage; looking through it would be counted as the database's time.
    gc.freeze()
    answer.with_suffix(".ready").touch()
    while not answer.with_suffix(".go").exists():
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return await replay.run()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, wait, tell, answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recording", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--partitions", default="")
    parser.add_argument("--reads", action="store_true")
    given = parser.parse_args(arguments)
    transactions = list(recorded(given.recording))
    if given.partitions:
        transactions = of_partitions(transactions, {int(one) for one in given.partitions.split(",")})
    replayed = uvloop.run(_tell(transactions, given.answer, given.reads))
    given.answer.write_text(json.dumps(asdict(replayed)), encoding="utf-8")


if __name__ == "__main__":
    main()
