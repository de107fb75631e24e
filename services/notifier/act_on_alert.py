"""Act on an alert: check reach and state, store the act with its step and audit entry in one transaction."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.notifier.auth import Caller
from services.notifier.core import acting
from services.notifier.core.acting import REFUSALS, STEP_OF, Deed, Held, Verdict
from services.notifier.core.alerting import deadlines
from services.notifier.core.climbing import next_timer
from services.notifier.core.links import Link
from services.notifier.core.message import is_alert_id
from services.notifier.core.sms_replies import ReplyOutcome
from services.notifier.core.words import Wording
from services.notifier.store.acting import Acts, LockedAlert, Overtaken
from services.notifier.store.rows import AlertRow, StepRow
from shared.alerts import Acknowledgement, AlertStatus, Closing, Comment, Reopening, Visit
from shared.clock import Clock, day_of
from shared.errors import Fault, RefusedRequest
from shared.logs import get_logger
from shared.policy import Policies, Policy

log = get_logger(__name__)


class ActOnAlert:
    """People's acts on alerts.

    Each raises RefusedRequest: not-found (also outside the caller's reach), conflict (the first fault's code says why,
    its detail what to do instead). The same act sent twice changes nothing.
    """

    def __init__(self, store: Acts, clock: Clock, policies: Policies, wording: Wording) -> None:
        self._store = store
        self._clock = clock
        self._policies = policies
        self._wording = wording

    async def acknowledge(self, alert_id: str, caller: Caller, body: Acknowledgement) -> None:
        """Take an alert on."""
        async with self._on(alert_id, caller) as act:
            verdict = acting.acknowledge(act.held, caller.actor, take_over=body.take_over)
            if verdict is Verdict.UNCHANGED:
                return
            _refuse(verdict)
            changed = _taken_on(act.row, caller.actor, act.now)
            await act.store(changed, verdict, body.note)
            await act.locked.end_repeats(changed)

    async def acknowledge_by_link(self, link: Link, caller: Caller) -> bool:
        """Take an alert on by a link that was checked; False if the link was used, or the caller holds the alert."""
        async with self._on(link.alert_id, caller) as act:
            facts = {"reason": "by_link", "link": link.revision}
            if await act.locked.has_step(act.row.alert_id, caller.actor, facts):
                return False
            verdict = acting.acknowledge(act.held, caller.actor, take_over=False)
            if verdict is Verdict.UNCHANGED:
                return False
            _refuse(verdict)
            changed = _taken_on(act.row, caller.actor, act.now)
            await act.store(changed, verdict, None, facts)
            await act.locked.end_repeats(changed)
            return True

    async def acknowledge_by_reply(self, alert_id: str, caller: Caller, sequence_id: str) -> ReplyOutcome:
        """Take an alert on by a reply to a text message; sequence_id names the reply, so that it acts once."""
        async with self._on(alert_id, caller) as act:
            verdict = acting.acknowledge(act.held, caller.actor, take_over=False)
            _refuse(verdict)
            is_held = verdict is Verdict.UNCHANGED
            outcome = ReplyOutcome.ALREADY_HELD if is_held else ReplyOutcome.ACKNOWLEDGED
            if not await act.locked.take_reply(sequence_id, outcome, act.now):
                return ReplyOutcome.REPEATED
            if not is_held:
                changed = _taken_on(act.row, caller.actor, act.now)
                await act.store(changed, verdict, None, {"reason": "sms_reply"})
                await act.locked.end_repeats(changed)
            return outcome

    async def visit(self, alert_id: str, caller: Caller, body: Visit) -> None:
        """Note a visit. A visit of an alert that nobody holds also takes it on."""
        async with self._on(alert_id, caller) as act:
            verdict = acting.visit(act.held, body.result)
            facts = {"reason": body.result, "measures": list(dict.fromkeys(body.measures))}
            if verdict not in REFUSALS and await act.repeats(verdict, body.note, facts):
                return
            _refuse(verdict)
            changed, holder = act.row, act.row.owner or caller.actor
            if acting.acknowledge(act.held, holder, take_over=False) is Verdict.ACKNOWLEDGED:
                # Somebody has been there: nothing that was told before is left to acknowledge.
                changed = _taken_on(changed, holder, act.now)
            if verdict is Verdict.VISITED:
                changed = replace(changed, status=AlertStatus.VISITED, visited_at=act.now)
            await act.store(changed, verdict, body.note, facts)
            await act.locked.end_repeats(changed)

    async def resolve(self, alert_id: str, caller: Caller, body: Closing) -> None:
        """Close an alert that needs nobody any more."""
        async with self._on(alert_id, caller) as act:
            facts = {"reason": body.resolution}
            if await act.repeats(Verdict.RESOLVED, body.note, facts):
                return
            verdict = acting.resolve(act.held)
            _refuse(verdict)
            changed = replace(act.row, status=AlertStatus.RESOLVED, closed_at=act.now)
            await act.store(changed, verdict, body.note, facts)
            await act.locked.end_telling(changed)

    async def reopen(self, alert_id: str, caller: Caller, body: Reopening) -> None:
        """Take up again an alert that was resolved too early; its deadlines count anew."""
        try:
            await self._reopen(alert_id, caller, body)
        except Overtaken:
            # Now that the other alert is stored, it can be named.
            await self._reopen(alert_id, caller, body)

    async def comment(self, alert_id: str, caller: Caller, body: Comment) -> None:
        """Add a remark; allowed in every state."""
        async with self._on(alert_id, caller) as act:
            if not await act.repeats(Verdict.COMMENTED, body.note, {}):
                await act.note(act.row, Verdict.COMMENTED, body.note, {})

    async def _reopen(self, alert_id: str, caller: Caller, body: Reopening) -> None:
        async with self._on(alert_id, caller) as act:
            if await act.repeats(Verdict.REOPENED, body.note, {}):
                return
            other = await act.locked.under_way_beside(act.row)
            verdict = acting.reopen(act.held, act.now, another_under_way=other is not None)
            _refuse(verdict, named=other)
            await act.store(_reopened(act.row, act.policy, act.now, self._wording), verdict, body.note)

    @asynccontextmanager
    async def _on(self, alert_id: str, caller: Caller) -> AsyncIterator["_Act"]:
        if not is_alert_id(alert_id):
            raise RefusedRequest("not-found")
        async with self._store.locked(alert_id) as locked:
            row = locked.row
            if row is None or not row.division.startswith(caller.reach):
                raise RefusedRequest("not-found")
            now = self._clock.now()
            policy = self._policies.for_division(row.division).on(day_of(now))
            yield _Act(locked, row, caller.actor, now, policy)


@dataclass(frozen=True, slots=True)
class _Act:
    """One act under the lock of its alert."""

    locked: LockedAlert
    row: AlertRow
    actor: str
    now: datetime
    policy: Policy

    @property
    def held(self) -> Held:
        row = self.row
        return Held(
            status=row.status,
            grade=row.grade,
            owner=row.owner,
            revision=row.revision,
            acknowledged_revision=row.acknowledged_revision,
            climb_from=row.climb_from,
            visited_at=row.visited_at,
            closed_at=row.closed_at,
        )

    async def repeats(self, verdict: Verdict, note: str | None, facts: Mapping[str, Any]) -> bool:
        """Tell whether the timeline ends with this very act."""
        deed = Deed(STEP_OF[verdict], self.actor, note or None, facts, self.now)
        return deed.repeats(await self.locked.last_deed(self.row.alert_id))

    async def store(
        self, changed: AlertRow, verdict: Verdict, note: str | None, facts: Mapping[str, Any] | None = None
    ) -> None:
        """Store the alert as the act leaves it, with the timer that then holds, and the act itself."""
        changed = replace(changed, updated_at=self.now, timer_at=next_timer(changed.standing, self.policy))
        await self.locked.save(changed)
        await self.note(changed, verdict, note, facts or {})

    async def note(self, changed: AlertRow, verdict: Verdict, note: str | None, facts: Mapping[str, Any]) -> None:
        """Put the act on the timeline and into the audit log."""
        step = StepRow(changed.alert_id, self.now, STEP_OF[verdict], self.actor, note or None, facts)
        await self.locked.note(step, changed)
        log.info("act on an alert", alert_id=changed.alert_id, actor=self.actor, step=step.kind)


def _refuse(verdict: Verdict, named: str | None = None) -> None:
    """Raise RefusedRequest for a verdict that is a refusal. named: the alert to act on instead."""
    if verdict not in REFUSALS:
        return
    detail = REFUSALS[verdict] if named is None else f"{REFUSALS[verdict]}: {named}"
    raise RefusedRequest("conflict", detail, faults=[Fault("", verdict, detail)])


def _taken_on(row: AlertRow, actor: str, now: datetime) -> AlertRow:
    status = AlertStatus.ACKNOWLEDGED if row.status is AlertStatus.OPEN else row.status
    return replace(row, status=status, owner=actor, acknowledged_at=now, acknowledged_revision=row.revision)


def _reopened(row: AlertRow, policy: Policy, now: datetime, wording: Wording) -> AlertRow:
    due = deadlines(row.grade, policy, now, wording)
    return replace(
        row,
        status=AlertStatus.OPEN,
        owner=None,
        acknowledged_at=None,
        acknowledged_revision=None,
        visited_at=None,
        closed_at=None,
        acknowledge_by=due.acknowledge_by,
        visit_by=due.visit_by,
        plan=[step.model_dump(mode="json") for step in due.plan],
        climb_from=now,
        counts_from=None,
        climbed=0,
    )
