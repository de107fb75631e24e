"""Metrics: built on a registry that is passed in, every label value created at start so that zero is visible.

Names are `shouwang_<service>_<what>_<unit>`, base units, `_total` on counters. Labels come from closed lists only,
never from household, staff or division ids.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# From a local round trip to a minute of trouble.
LATENCY_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)


class ServiceMetrics:
    """Makes the metrics of one service, with its prefix, on the given registry."""

    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        # One more series per counter, with a name that follows no rule of ours, and nobody asks for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        self._prefix = f"shouwang_{service}_"

    def counter(self, name: str, meaning: str, **labels: Iterable[str]) -> Counter:
        """Make a counter; `labels` gives the closed list of values of at most one label."""
        made = Counter(self._prefix + name, meaning, tuple(labels), registry=self.registry)
        for values in labels.values():
            for value in values:
                made.labels(value)
        return made

    def gauge(self, name: str, meaning: str, **labels: Iterable[str]) -> Gauge:
        """Make a gauge; `labels` as for a counter."""
        made = Gauge(self._prefix + name, meaning, tuple(labels), registry=self.registry)
        for values in labels.values():
            for value in values:
                made.labels(value)
        return made

    def seconds(self, name: str, meaning: str) -> Histogram:
        """Make a histogram of durations in seconds."""
        return Histogram(self._prefix + name, meaning, buckets=LATENCY_BUCKETS_SECONDS, registry=self.registry)
