"""What the consumer loop shows."""

from prometheus_client import Counter, Gauge

from shared.errors import HALT_REASONS
from shared.metrics import ServiceMetrics


class LoopMetrics:
    """The loop's own metrics."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        self.records: Counter = metrics.counter("records_total", "Records read from the log")
        self.held: Counter = metrics.counter("partition_holds_total", "Times a partition was held back after a failure")
        self.lag: Gauge = metrics.gauge(
            "lag_records", "Records on the log that are not applied yet, all own partitions"
        )
        self.partitions: Gauge = metrics.gauge("owned_partitions", "Partitions that this process owns")
        self.halted: Gauge = metrics.gauge(
            "halted_partitions", "Partitions that wait for a person, by reason", reason=HALT_REASONS
        )
