"""Act on an alert: check reach and state, store the act with its step and audit entry in one transaction."""

from dataclasses import replace

from services.notifier.auth import Caller
from services.notifier.core.acting import Held, Verdict, acknowledge
from services.notifier.core.message import is_alert_id
from services.notifier.store.alerts import Acknowledgements
from services.notifier.store.rows import AlertRow, StepRow
from shared.alerts import UNDER_WAY, AlertStatus, StepKind
from shared.alerts import Acknowledgement as AcknowledgementBody
from shared.clock import Clock
from shared.errors import RefusedRequest
from shared.logs import get_logger

log = get_logger(__name__)

_STEP_OF = {Verdict.ACKNOWLEDGED: StepKind.ACKNOWLEDGED, Verdict.TAKEN_OVER: StepKind.TAKEN_OVER}


class ActOnAlert:
    """People's acts on alerts."""

    def __init__(self, store: Acknowledgements, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def acknowledge(self, alert_id: str, caller: Caller, body: AcknowledgementBody) -> None:
        """Take an alert on. Raises RefusedRequest: not-found (also outside the caller's reach), conflict."""
        if not is_alert_id(alert_id):
            raise RefusedRequest("not-found")
        async with self._store.locked(alert_id) as locked:
            row = locked.row
            if row is None or not row.division.startswith(caller.reach):
                raise RefusedRequest("not-found")
            held = Held(row.status, row.owner, row.revision, row.acknowledged_revision)
            verdict = acknowledge(held, caller.actor, take_over=body.take_over)
            match verdict:
                case Verdict.CLOSED:
                    raise RefusedRequest("conflict", f"the alert is closed ({row.status})")
                case Verdict.HELD_BY_OTHER:
                    raise RefusedRequest("conflict", "somebody else holds the alert; send take_over to take it on")
                case Verdict.UNCHANGED:
                    return
            now = self._clock.now()
            step = StepRow(alert_id, now, _STEP_OF[verdict], caller.actor, body.note or None)
            await locked.acknowledge(self._held_by(row, caller.actor), step, now)
        log.info("alert acknowledged", alert_id=alert_id, actor=caller.actor, step=step.kind)

    def _held_by(self, row: AlertRow, actor: str) -> AlertRow:
        status = AlertStatus.ACKNOWLEDGED if row.status is AlertStatus.OPEN else row.status
        assert status in UNDER_WAY
        return replace(
            row,
            status=status,
            owner=actor,
            acknowledged_at=self._clock.now(),
            acknowledged_revision=row.revision,
        )
