"""Raise alerts: from a batch of grade changes to alerts and all that follows, in one transaction."""

from collections.abc import Callable, Collection, Iterable, Sequence

from pydantic import ValidationError

from services.notifier.core.words import Wording
from services.notifier.draft_alerts import Drafts
from services.notifier.metrics import NotifierMetrics
from services.notifier.siren import Siren
from services.notifier.store.alerts import AlertStore, AlertTransaction
from services.notifier.store.rows import QuarantineRow
from services.notifier.telling import Surroundings
from shared.alerts import ChannelName
from shared.bus.ports import Claim, PartitionBatch, Record, TopicPartition
from shared.clock import Clock
from shared.codec import MalformedJson, pointer
from shared.db.positions import Fates
from shared.grade_message import read_grade_change
from shared.grades import GradeChanged
from shared.logs import get_logger
from shared.policy import Policies

log = get_logger(__name__)


class RaiseAlert:
    """Handles the records of the topic of grade changes."""

    def __init__(
        self,
        store: AlertStore,
        policies: Policies,
        clock: Clock,
        metrics: NotifierMetrics,
        *,
        public_url: str,
        wording: Wording,
        on_deliveries: Callable[[Collection[ChannelName]], None],
        siren: Siren | None = None,
    ) -> None:
        self._store = store
        self._policies = policies
        self._clock = clock
        self._metrics = metrics
        self._public_url = public_url
        self._wording = wording
        self._on_deliveries = on_deliveries
        self._siren = siren or Siren(None, clock, metrics)

    async def claim(self, partition: TopicPartition) -> Claim:
        """Become the partition's owner. Raises TemporaryFailure."""
        return await self._store.claim(partition)

    async def handle(self, batch: PartitionBatch) -> None:
        """Apply a batch and move the position, in one transaction. Raises TemporaryFailure, LostOwnership."""
        changes, refused = read_records(batch)
        async with self._store.transaction() as tx:
            await tx.advance(batch, Fates(applied=len(changes), quarantined=len(refused)))
            await tx.quarantine(refused)
            drafts = await self._drafts(tx, changes)
            for change in changes:
                drafts.take(change)
            await tx.end_reminders(drafts.moved_on)
            await tx.save(
                list(drafts.changed.values()),
                drafts.steps,
                drafts.messages,
                drafts.deliveries,
                drafts.surroundings.tellings.recalled,
            )
        self._report(drafts, refused)
        if drafts.deliveries:
            self._on_deliveries({one.channel for one in drafts.deliveries})
        await self._siren.unreachable([(row.alert_id, row.division) for row in drafts.unreachable])

    async def caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        """Nothing is done while nothing is left to read."""
        return False

    async def _drafts(self, tx: AlertTransaction, changes: Sequence[GradeChanged]) -> Drafts:
        households = {change.household_id for change in changes}
        now = self._clock.now()
        alerts = await tx.under_way(households)
        may_end = {one.household_id for one in changes if one.closed or one.trigger.kind == "replay"}
        return Drafts(
            Surroundings(
                policies=self._policies,
                register=await tx.register((change.division for change in changes), now),
                told=await tx.told([alerts[one].alert_id for one in may_end if one in alerts]),
                public_url=self._public_url,
                now=now,
                wording=self._wording,
                tellings=await tx.tellings(households, now),
                silences=await tx.silences(now),
            ),
            alerts,
            await tx.last_versions(households),
        )

    def _report(self, drafts: Drafts, refused: Iterable[QuarantineRow]) -> None:
        self._metrics.count_held(drafts.deliveries)
        self._metrics.silenced.inc(len(drafts.silenced))
        for why in drafts.decisions:
            self._metrics.decisions.labels(why).inc()
        for row in drafts.opened:
            self._metrics.opened.labels(row.grade.code).inc()
            log.info("alert opened", alert_id=row.alert_id, household_id=row.household_id, grade=row.grade.code)
        for row in drafts.unreachable:
            self._metrics.unreachable.inc()
            log.error("nobody is there to tell of an alert", alert_id=row.alert_id, division=row.division)
        for record in refused:
            self._metrics.quarantined.labels(record.reason).inc()
            log.error("record put in quarantine", reason=record.reason, offset=record.topic_offset)


def read_records(batch: PartitionBatch) -> tuple[list[GradeChanged], list[QuarantineRow]]:
    """Read each record of a batch: the changes in order, and the records that hold none."""
    changes: list[GradeChanged] = []
    refused: list[QuarantineRow] = []
    for record in batch.records:
        found = _read(record)
        if isinstance(found, GradeChanged):
            changes.append(found)
        else:
            reason, detail = found
            refused.append(QuarantineRow(*batch.partition, record.offset, reason, detail, record.key, record.value))
    return changes, refused


def _read(record: Record) -> GradeChanged | tuple[str, str]:
    if record.value is None:
        return "EMPTY_RECORD", "the record has no value"
    try:
        change = read_grade_change(record.value)
    except MalformedJson as error:
        return "NOT_A_GRADE_CHANGE", error.fault.detail
    except ValidationError as error:
        places = error.errors(include_url=False, include_context=False, include_input=False)[:5]
        return "NOT_A_GRADE_CHANGE", "; ".join(f"{pointer(*one['loc'])}: {one['type']}" for one in places)
    if record.key != change.household_id.encode():
        return "WRONG_KEY", "the record's key is not the household_id; order cannot be kept"
    return change
