"""Takes checked events and puts them on the log; answers only once a quorum of the log has them.

The order of one household's events in a batch is kept: they are handed over one after the other, and after the first
that the log does not take, none of that household is tried. Different households go at the same time, under one
deadline.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from services.ingest.check_event import check_event
from services.ingest.limits import RETRY_LOG_SECONDS, Held
from services.ingest.metrics import IngestMetrics
from services.ingest.read_request import MAX_EVENT_BYTES
from services.ingest.recent_receipts import RecentReceipt, RecentReceipts
from services.ingest.write_record import record_of
from shared.access import AccessKey
from shared.bus.ports import Publisher, Receipt
from shared.clock import Clock, to_rfc3339
from shared.codec import MalformedJson, decode_json
from shared.errors import RefusedRequest, TemporaryFailure
from shared.events.envelope import EventMessage
from shared.topics import HOUSEHOLD_EVENTS, Topic

# Reading 500 events takes some 50 ms; others are served in between.
EVENTS_READ_AT_ONCE = 25

Status = Literal["accepted", "refused", "not_accepted", "valid"]


class EventLog(Publisher, Protocol):
    """The log as ingest needs it."""

    async def publish_many(
        self, topic: Topic, records: Sequence[tuple[str, bytes]], *, within_seconds: float
    ) -> Sequence[Receipt | TemporaryFailure]:
        """Put records (key, value) on the log under one deadline; outcomes in the order of the records.

        Records of one key stand there in this order; after the first that could not be handed over, none of that key
        is tried. What becomes of one key does not touch another.
        """
        ...


class Sender(NamedTuple):
    """Who sends, when it was received (once per request), and the request's own trace, if it has one.

    recorded: recorded_at as it is written on the log.
    """

    key: AccessKey
    recorded_at: datetime
    recorded: str
    traceparent: str | None = None


class Verdict(NamedTuple):
    """What became of one event of a batch, by its place there. event_id: None while the event could not be read."""

    place: int
    event_id: str | None
    status: Status
    receipt: Receipt | None = None
    refusal: RefusedRequest | None = None


class _Ready(NamedTuple):
    """What is kept of an event while its bytes are on their way; the payload need not be in memory twice."""

    place: int
    id: str
    source: str
    household_id: str
    value: bytes


class AcceptEvents:
    """Accepts events, one or many, for as long as the log takes them in time."""

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        receipts: RecentReceipts,
        metrics: IngestMetrics,
        *,
        publish_timeout_seconds: float,
    ) -> None:
        self._log = log
        self._clock = clock
        self._receipts = receipts
        self._metrics = metrics
        self._timeout = publish_timeout_seconds

    def sender(self, key: AccessKey, traceparent: str | None = None) -> Sender:
        """Note who sends and when; the instant counts in milliseconds, as it is written on the log."""
        now = self._clock.now()
        recorded_at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        return Sender(key, recorded_at, to_rfc3339(recorded_at), traceparent)

    def check(self, document: object, sender: Sender) -> EventMessage:
        """Return the event that a document holds, if this sender may send it now. Raises RefusedRequest."""
        return check_event(document, sender.key, sender.recorded_at)

    async def one(self, event: EventMessage, sender: Sender, held: Held) -> Receipt:
        """Put one event on the log. Raises RefusedRequest (503) when it is not known to be there in time.

        held: the bytes in flight of the request.
        """
        value = _record(event, sender)
        held.become(len(value))
        started = time.perf_counter()
        try:
            receipt = await self._log.publish(HOUSEHOLD_EVENTS, event.subject, value, within_seconds=self._timeout)
        except TemporaryFailure as failure:
            raise _log_away(failure) from failure
        finally:
            self._metrics.publish_seconds.observe(time.perf_counter() - started)
        self._metrics.accepted()
        recent = RecentReceipt(receipt, event.subject, sender.recorded)
        self._receipts.remember(sender.key.key_id, event.id, event.source, recent)
        return receipt

    async def batch(
        self, bodies: Sequence[bytes], sender: Sender, held: Held, *, dry_run: bool = False
    ) -> list[Verdict]:
        """Judge each event by itself and put the sound ones on the log; verdicts in the order of the events.

        bodies: one JSON document each. held: the bytes in flight of the request.
        Raises RefusedRequest (503) when too many bytes are under way already.
        """
        ready: list[_Ready] = []
        verdicts: dict[int, Verdict] = {}
        for index, body in enumerate(bodies):
            judged = self._judge(index, body, sender)
            if isinstance(judged, Verdict):
                verdicts[index] = judged
            elif dry_run:
                verdicts[index] = Verdict(index, judged.id, "valid")
            else:
                ready.append(judged)
            if index % EVENTS_READ_AT_ONCE == 0:
                await asyncio.sleep(0)
        for verdict in await self._publish(ready, sender, held):
            verdicts[verdict.place] = verdict
        return [verdicts[index] for index in range(len(bodies))]

    def _judge(self, index: int, body: bytes, sender: Sender) -> _Ready | Verdict:
        document: object = None
        try:
            document = decode_event(body)
            event = self.check(document, sender)
        except RefusedRequest as refusal:
            self._metrics.event_refused(refusal.problem)
            return Verdict(index, _id_of(document), "refused", refusal=refusal)
        return _Ready(index, event.id, event.source, event.subject, _record(event, sender))

    async def _publish(self, ready: Sequence[_Ready], sender: Sender, held: Held) -> list[Verdict]:
        if not ready:
            return []
        held.become(sum(len(one.value) for one in ready))
        records = [(one.household_id, one.value) for one in ready]
        started = time.perf_counter()
        outcomes = await self._log.publish_many(HOUSEHOLD_EVENTS, records, within_seconds=self._timeout)
        self._metrics.publish_seconds.observe(time.perf_counter() - started)
        verdicts = [self._verdict(one, outcome, sender) for one, outcome in zip(ready, outcomes, strict=True)]
        taken = sum(verdict.receipt is not None for verdict in verdicts)
        self._metrics.accepted(taken)
        self._metrics.not_accepted(len(verdicts) - taken)
        return verdicts

    def _verdict(self, one: _Ready, outcome: Receipt | TemporaryFailure, sender: Sender) -> Verdict:
        if isinstance(outcome, TemporaryFailure):
            return Verdict(one.place, one.id, "not_accepted", refusal=_log_away(outcome))
        recent = RecentReceipt(outcome, one.household_id, sender.recorded)
        self._receipts.remember(sender.key.key_id, one.id, one.source, recent)
        return Verdict(one.place, one.id, "accepted", receipt=outcome)


def _record(event: EventMessage, sender: Sender) -> bytes:
    return record_of(event, recorded_at=sender.recorded, key_id=sender.key.key_id, traceparent=sender.traceparent)


def decode_event(body: bytes) -> object:
    """Decode the body of one event strictly. Raises RefusedRequest (413, 400)."""
    if len(body) > MAX_EVENT_BYTES:
        raise RefusedRequest("too-large", f"send at most {MAX_EVENT_BYTES} bytes for one event")
    try:
        document: object = decode_json(body)
    except MalformedJson as error:
        raise RefusedRequest("malformed-json", error.fault.detail, faults=[error.fault]) from None
    return document


def _log_away(failure: TemporaryFailure) -> RefusedRequest:
    return RefusedRequest("log-unavailable", str(failure), retry_after_seconds=RETRY_LOG_SECONDS)


def _id_of(document: object) -> str | None:
    """The id of an event that was refused for something else, so that its sender finds it again."""
    found = document.get("id") if isinstance(document, dict) else None
    sound = isinstance(found, str) and found.isascii() and found.isprintable() and 0 < len(found) <= 64
    return found if sound and " " not in str(found) else None
