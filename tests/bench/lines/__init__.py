"""The lines, in the order in which they are measured: first those that need no server."""

from collections.abc import Sequence

from tests.bench.lines import (
    core,
    decoding,
    end_to_end,
    ingest,
    notifier,
    scorer_growth,
    scorer_nights,
    scorer_rate,
    scorer_reading,
    scorer_stages,
    sizes,
)  # fmt: skip
from tests.bench.measurement import Measurement

MEASUREMENTS: Sequence[Measurement] = [
    *core.MEASUREMENTS,
    *decoding.MEASUREMENTS,
    *ingest.MEASUREMENTS,
    *scorer_rate.MEASUREMENTS,
    *scorer_reading.MEASUREMENTS,
    *scorer_stages.MEASUREMENTS,
    *scorer_nights.MEASUREMENTS,
    *scorer_growth.MEASUREMENTS,
    *sizes.MEASUREMENTS,
    *notifier.MEASUREMENTS,
    *end_to_end.MEASUREMENTS,
]
