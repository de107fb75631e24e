"""The lines, in the order in which they are measured: first those that need no server."""

from collections.abc import Sequence

from tests.bench.lines import core, decoding
from tests.bench.measurement import Measurement

MEASUREMENTS: Sequence[Measurement] = [*core.MEASUREMENTS, *decoding.MEASUREMENTS]
