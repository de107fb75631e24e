"""The metrics of ingest: what became of the events that were sent here, and how long the log took."""

from shared.http.catalogue import PROBLEMS
from shared.http.health import HttpMetrics
from shared.metrics import ServiceMetrics

VERDICTS = ("accepted", "refused", "not_accepted")


class IngestMetrics:
    """shouwang_ingest_*: created at start with every label value, so that zero is visible.

    not_accepted: the event was sound, but the log did not take it in time.
    """

    def __init__(self, metrics: ServiceMetrics) -> None:
        self.http = HttpMetrics(metrics)
        self.publish_seconds = metrics.seconds("publish_seconds", "Time until the log acknowledged an event or a batch")
        events = metrics.counter("events_total", "Events by verdict", verdict=VERDICTS)
        # Looked up once: a look-up takes a lock and costs as much as the count itself.
        self._accepted, self._refused_events, self._not_accepted = (events.labels(verdict) for verdict in VERDICTS)
        refusals = [problem.slug for problem in PROBLEMS.values() if problem.status < 500]
        self._refused = metrics.counter("refused_total", "Requests and events refused, by problem", problem=refusals)

    def accepted(self, count: int = 1) -> None:
        """Count events that the log has."""
        self._accepted.inc(count)

    def not_accepted(self, count: int = 1) -> None:
        """Count sound events that the log did not take."""
        self._not_accepted.inc(count)

    def event_refused(self, problem: str) -> None:
        """Count one event that its sender must mend."""
        self._refused_events.inc()
        self.refused(problem)

    def refused(self, problem: str) -> None:
        """Count one refusal of a whole request."""
        if PROBLEMS[problem].status < 500:
            self._refused.labels(problem).inc()
