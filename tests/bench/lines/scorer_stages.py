"""What each step of the scorer costs in processor time, for one event."""

import json
import sys
from collections.abc import Mapping

from tests.bench.bench import Bench
from tests.bench.line import Line, Rounds
from tests.bench.lines.scorer_rate import province
from tests.bench.measurement import Measurement
from tests.bench.scoring.ceilings import recording_of
from tests.bench.scoring.stages import STAGES

SECONDS = 1800.0
_SAYS = {
    "fetch": "reading the log; ceiling: aiokafka alone",
    "decode": "decoding and checking a record; ceiling: json.loads of its bytes",
    "load": "BEGIN and reading what is stored; ceiling: the same statements by the driver alone",
    "fold": "sorting, folding, grading, and what follows from it",
    "write": "putting rows together and writing them; ceiling: the same statements by the driver alone",
    "commit": "moving the position and COMMIT; ceiling: the same by the driver alone",
    "tell": "after the COMMIT: log lines and metrics",
}
LINES = {
    stage: Line(
        f"scorer.cpu_us.{stage}", "us", f"of the real handler, one batch at a time: {_SAYS[stage]}", less_is_better=True
    )
    for stage in STAGES
}


async def stages(bench: Bench) -> Mapping[Line, Rounds]:
    """The handler in a process of its own, with its store watched."""
    full = await province(bench)
    recording = await recording_of(bench, full)
    platform = await bench.platform()
    found = []
    for number in range(1, bench.rounds + 1):
        bench.progress.step(f"round {number} of {bench.rounds}")
        answer = platform.scratch / f"stages-{number}"
        argv = [sys.executable, "-m", "tests.bench.scoring.stage_times"]
        argv += [str(full.events), str(recording), str(answer)]
        async with full.place(platform) as place, full.place(platform) as other:
            ceiling = {"BENCH_CEILING_URL": platform.databases.dsn_of(other.database)}
            async with platform.command("stage-times", argv, place, ceiling) as measuring:
                await measuring.wait_end(SECONDS)
        found.append(json.loads(answer.read_text(encoding="utf-8")))
    return {
        line: Rounds(
            [one["ours"][stage] for one in found],
            [one["ceilings"][stage] for one in found if stage in one["ceilings"]],
        )
        for stage, line in LINES.items()
    }


MEASUREMENTS = [Measurement(list(LINES.values()), stages)]
