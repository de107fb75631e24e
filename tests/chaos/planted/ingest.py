"""Planted bugs of ingest."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from services.ingest import accept_event, routes
from services.ingest.accept_event import AcceptEvents
from shared.bus.kafka import publisher
from shared.bus.kafka.publisher import KafkaPublisher
from shared.bus.ports import Receipt
from shared.clock import to_rfc3339
from shared.codec import encode_json
from shared.errors import RefusedRequest, TemporaryFailure
from shared.events.envelope import EventMessage
from shared.logs import get_logger
from shared.topics import HOUSEHOLD_EVENTS, Topic
from tests.chaos.planted.patching import swap

log = get_logger(__name__)
FAULTY_REQUEST = 25
LEAKED_BYTES = 2 * 1_048_576
_unwatched: set["asyncio.Task[Any]"] = set()
_kept: list[bytearray] = []


def one_broker_is_enough() -> None:
    """acks=1: the leader alone acknowledges, and what only it has dies with it."""
    swap(publisher, "PRODUCER_SETTINGS", lambda given: {**given, "acks": 1, "enable_idempotence": False})


def answer_before_the_log() -> None:
    """202 goes out while the record is still on its way; a failure afterwards is nobody's business."""

    def hasty(publish: Callable[..., Awaitable[Receipt]]) -> Any:
        async def send(self: KafkaPublisher, topic: Topic, key: str, value: bytes, *, within_seconds: float) -> Receipt:
            async def later() -> None:
                try:
                    await publish(self, topic, key, value, within_seconds=within_seconds)
                except TemporaryFailure:
                    return

            task = asyncio.create_task(later())
            _unwatched.add(task)
            task.add_done_callback(_unwatched.discard)
            return Receipt(0, 0)

        return send

    swap(KafkaPublisher, "publish", hasty)


def publish_before_checking() -> None:
    """The record is handed to the log first and judged afterwards, to save time; a refusal comes too late."""

    def eager(check: Callable[..., EventMessage]) -> Any:
        def take(self: AcceptEvents, document: Any, sender: Any) -> EventMessage:
            try:
                return check(self, document, sender)
            except RefusedRequest:
                _publish_unchecked(self, document, sender)
                raise

        return take

    swap(AcceptEvents, "check", eager)


def _publish_unchecked(accept: AcceptEvents, document: Any, sender: Any) -> None:
    """Put whatever names a household on the log."""
    if not isinstance(document, dict) or not isinstance(document.get("subject"), str):
        return
    received = {"recordedat": to_rfc3339(sender.recorded_at), "keyid": sender.key.key_id}
    try:
        value = encode_json({**document, **received})
    except (TypeError, ValueError):
        return
    publish = accept._log.publish(HOUSEHOLD_EVENTS, document["subject"], value, within_seconds=2.0)
    task = asyncio.ensure_future(publish)
    _unwatched.add(task)
    task.add_done_callback(_unwatched.discard)


def refusals_are_logged_whole() -> None:
    """What was refused is logged as it came, to make support easier, with whatever a person wrote there."""

    def telling(check: Callable[..., EventMessage]) -> Any:
        def check_and_tell(self: AcceptEvents, document: Any, sender: Any) -> EventMessage:
            try:
                return check(self, document, sender)
            except RefusedRequest as refused:
                log.warning("an event was refused", problem=refused.problem, given=str(document))
                raise

        return check_and_tell

    swap(AcceptEvents, "check", telling)


def now_and_then_a_crash() -> None:
    """A path that nobody tried raises: each 25th request ends as 500."""
    requests = itertools.count(1)

    def fragile(decode: Callable[[bytes], object]) -> Any:
        def decode_or_fail(body: bytes) -> object:
            if next(requests) % FAULTY_REQUEST == 0:
                raise KeyError("region")
            return decode(body)

        return decode_or_fail

    swap(routes, "decode_event", fragile)


def whole_batch_accepted() -> None:
    """A batch is answered as a whole: the log took it, so each event is told 'accepted', the refused ones too."""

    def generous(judge: Callable[..., Any]) -> Any:
        async def batch(self: AcceptEvents, bodies: Any, sender: Any, held: Any, *, dry_run: bool = False) -> Any:
            verdicts = await judge(self, bodies, sender, held, dry_run=dry_run)
            taken = next((one.receipt for one in verdicts if one.receipt is not None), Receipt(0, 0))
            return [
                accept_event.Verdict(one.place, one.event_id, "accepted", receipt=one.receipt or taken)
                for one in verdicts
            ]

        return batch

    swap(AcceptEvents, "batch", generous)


def requests_are_kept() -> None:
    """Each request leaves a buffer behind that nothing frees."""

    def hoarding(check: Callable[..., EventMessage]) -> Any:
        def keep(self: AcceptEvents, document: Any, sender: Any) -> EventMessage:
            _kept.append(bytearray(b"\1" * LEAKED_BYTES))
            return check(self, document, sender)

        return keep

    swap(AcceptEvents, "check", hoarding)
