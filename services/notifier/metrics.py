"""The notifier's metrics, each named once."""

from collections.abc import Iterable
from typing import get_args

from services.notifier.core.alerting import Why
from services.notifier.core.climbing import Effect
from services.notifier.core.holding import Held
from services.notifier.core.sms_replies import ReplyOutcome
from services.notifier.store.rows import DeliveryRow
from shared.alerts import ChannelName, DeliveryStatus
from shared.grades import RiskGrade
from shared.metrics import ServiceMetrics
from shared.policy import Role

DELIVERY_OUTCOMES = ("sent", "retry", "failed", "suppressed")
OUTCOME_OF_STATUS = {
    DeliveryStatus.SENT: "sent",
    DeliveryStatus.PENDING: "retry",
    DeliveryStatus.FAILED: "failed",
    DeliveryStatus.SUPPRESSED: "suppressed",
}
LIST_OUTCOMES = ("made", "empty", "no_channel")
QUARANTINE_REASONS = ("EMPTY_RECORD", "NOT_A_GRADE_CHANGE", "WRONG_KEY")

SIREN_CALLS = ("unreachable_alert", "no_channel_works")


class NotifierMetrics:
    """Counters and times of the notifier."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        grades = [grade.code for grade in RiskGrade]
        self.opened = metrics.counter("alerts_opened_total", "Alerts opened, by their first grade", grade=grades)
        self.decisions = metrics.counter("decisions_total", "Changes of grade by what was decided", reason=list(Why))
        self.unreachable = metrics.counter("unreachable_alerts_total", "Times nobody was found to tell of an alert")
        self.timers = metrics.counter("timers_total", "Timers of alerts by what time did", effect=list(Effect))
        self.hops = metrics.counter("hops_total", "Hops of unacknowledged alerts, by role", role=get_args(Role))
        self.climbing_faults = metrics.counter("climbing_faults_total", "Times an alert could not climb by our fault")
        self.quarantined = metrics.counter("quarantined_total", "Records put in quarantine", reason=QUARANTINE_REASONS)
        self.deliveries = metrics.counter(
            "deliveries_total", "Attempts to deliver, by outcome", outcome=DELIVERY_OUTCOMES
        )
        self.delivery_seconds = metrics.seconds("delivery_seconds", "Time from a grade's decision to its receipt")
        self.pending = metrics.gauge("pending_deliveries", "Deliveries that are not done yet")
        self.paced = metrics.gauge("paced_deliveries", "Deliveries that wait for their person's next turn")
        self.digests = metrics.counter("digests_total", "Digests begun, by channel", channel=ChannelName)
        self.digest_alerts = metrics.counter(
            "digest_alerts_total",
            "Alerts that digests told in place of single messages, by channel",
            channel=ChannelName,
        )
        self.fallbacks = metrics.counter("fallbacks_total", "Times a person's next channel was used besides or instead")
        self.broken = metrics.gauge(
            "broken_targets", "Receivers that were out five times in a row", channel=ChannelName
        )
        self.siren = metrics.counter("siren_total", "Calls for help written to the siren's file", call=SIREN_CALLS)
        self.siren_unwritten = metrics.counter("siren_unwritten_total", "Calls that the siren's file did not take")
        self.sms_replies = metrics.counter(
            "sms_replies_total", "Replies by text message, by what became of them", outcome=list(ReplyOutcome)
        )
        self.held = metrics.counter("held_tellings_total", "Tellings that had to wait, by why", reason=list(Held))
        self.silenced = metrics.counter("silenced_tellings_total", "Tellings that a silence kept from people")
        self.lists = metrics.counter("weekly_lists_total", "Weekly lists, by outcome", outcome=LIST_OUTCOMES)
        self.list_deliveries = metrics.counter(
            "list_deliveries_total", "Attempts to deliver a weekly list, by outcome", outcome=DELIVERY_OUTCOMES
        )
        self.logins = metrics.counter("logins_total", "Console logins", outcome=("accepted", "refused", "limited"))

    def count_held(self, deliveries: Iterable[DeliveryRow]) -> None:
        """Count the tellings that wait, each once by however many channels it goes."""
        waiting = {(one.alert_id, one.revision, one.staff_id): one.held for one in deliveries if one.held is not None}
        for held in waiting.values():
            self.held.labels(held).inc()
