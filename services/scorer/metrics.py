"""The scorer's metrics, each named once."""

from services.scorer.read_record import REASONS
from shared.grades import RiskGrade
from shared.metrics import ServiceMetrics

OUTCOMES = ("applied", "waiting", "parked", "duplicate", "quarantined")
REFOLDS = ("changed", "same", "unparked", "failed")


class ScorerMetrics:
    """Counters and times of the scorer."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        grades = [grade.code for grade in RiskGrade]
        self.events = metrics.counter("events_total", "Records by what became of them", outcome=OUTCOMES)
        self.quarantined = metrics.counter("quarantined_total", "Records put in quarantine", reason=REASONS)
        self.overtaken = metrics.counter("overtaken_events_total", "Events applied ahead of a backlog")
        self.changes = metrics.counter("grade_changes_total", "Changes of held grades by the new grade", grade=grades)
        self.replays = metrics.counter("replays_total", "Households rebuilt from their ledger by a correction")
        self.clues = metrics.counter("clues_total", "Events' households that no register knows, first met")
        self.due = metrics.counter("due_households_total", "Households judged anew because a day had come")
        self.parked = metrics.counter("parked_households_total", "Households set aside because they cannot be folded")
        self.refolds = metrics.counter(
            "refolds_total", "Households that a person wanted folded anew, by what became of them", outcome=REFOLDS
        )
        self.relayed = metrics.counter("relayed_messages_total", "Messages of the outbox that the log has")
        self.batch_seconds = metrics.seconds("batch_seconds", "Time to apply one batch of a partition")
        self.event_seconds = metrics.seconds("event_seconds", "Time from an event's receipt to its durable grade")
