"""How long the strict reading of one record of the log takes."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from services.scorer.read_record import ReceivedEvent, read_record
from shared.bus.ports import Record
from tests.bench.bench import Bench
from tests.bench.call_times import call_times
from tests.bench.line import Line, Rounds
from tests.bench.load.events import messages
from tests.bench.load.households import Load
from tests.bench.measurement import Measurement

DECODE = Line(
    "decode.event_us", "us", "read and check one record as the scorer does; ceiling: json.loads of the same bytes",
    quick=True, less_is_better=True,
)  # fmt: skip


def records(load: Load) -> Sequence[Record]:
    """Records of the mix that the scorer's lines use."""
    made = (one for one in messages(load))
    return [Record(at, one.subject.encode(), one.to_bytes(), 0) for at, one in enumerate(made)]


async def decode(bench: Bench) -> Mapping[Line, Rounds]:
    """Decode records one by one; none of them may be refused."""
    load = Load(households=200, events=500)
    read = records(load)
    now = load.now + timedelta(hours=1)
    refused = [found for one in read if not isinstance(found := read_record(one, now), ReceivedEvent)]
    assert not refused, refused[0]
    rounds = call_times(
        bench,
        lambda turn: read[turn % len(read)],
        lambda record: read_record(record, now),
        lambda record: json.loads(record.value),
        times=2 * len(read),
    )
    return {DECODE: rounds}


MEASUREMENTS = [Measurement([DECODE], decode)]
