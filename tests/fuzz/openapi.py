"""Schemathesis against ingest on a real socket: does the service do what its OpenAPI document says?

`python -m tests.fuzz.openapi --examples 300` tells it in words; the exit status is 1 where it does not.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.corpus.server import served_ingest
from tests.fakes.ingest_edge import key

CONFIG = Path(__file__).with_name("schemathesis.toml")
ROOT = Path(__file__).parents[2]


async def check(url: str, *, bearer: str | None, phases: str, arguments: Sequence[str]) -> tuple[int, str]:
    """Run Schemathesis against a server; return its exit status and what it said."""
    authorization = ["--header", f"Authorization: Bearer {bearer}"] if bearer else []
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run", url),
        *("--checks", "all", "--phases", phases, "--no-shrink", *authorization, *arguments),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")


async def main(examples: int, seconds: int | None) -> int:
    """Check with a key and without one, in half of the time each."""
    limits = ["--max-examples", str(examples), *(["--max-time", str(max(1, seconds // 2))] if seconds else [])]
    worst = 0
    async with served_ingest() as served:
        for bearer in (key(), None):
            url = f"{served.client.base_url}/openapi.json"
            phases = "examples,coverage,fuzzing,stateful" if bearer else "fuzzing"
            status, said = await check(url, bearer=bearer, phases=phases, arguments=limits)
            print(said)
            worst = max(worst, status)
    return worst


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--seconds", type=int)
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.examples, given.seconds)))
