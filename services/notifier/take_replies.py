"""Take in what people reply to text messages, as the vendor passes it on: each reply once, whatever comes again.

The vendor's own shape and manners: Aliyun's HTTP batch push of upstream messages (SmsUp), a JSON array; anything but
HTTP 200 is passed on again after a minute and later.
"""

import hmac
import json

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import caller_of
from services.notifier.core.sms_replies import Reply, ReplyOutcome, Told, choose, read_reply, understand
from services.notifier.metrics import NotifierMetrics
from services.notifier.store.directory import Directory
from services.notifier.store.sms_replies import SmsReplies
from shared.clock import Clock
from shared.errors import Fault, RefusedRequest
from shared.logs import get_logger

log = get_logger(__name__)


class TakeReplies:
    """Answers for the address that the vendor posts replies to; without a secret there is none."""

    def __init__(
        self,
        secret: str | None,
        replies: SmsReplies,
        directory: Directory,
        act: ActOnAlert,
        clock: Clock,
        metrics: NotifierMetrics,
    ) -> None:
        self._secret = secret
        self._replies = replies
        self._directory = directory
        self._act = act
        self._clock = clock
        self._metrics = metrics

    def admits(self, secret: str) -> bool:
        """Tell whether somebody knows the secret of the address; compared in constant time."""
        # The server hands on whatever bytes a path holds.
        given = secret.encode("utf-8", "surrogatepass")
        return self._secret is not None and hmac.compare_digest(given, self._secret.encode())

    async def take(self, body: bytes) -> None:
        """Take in a batch. Raises RefusedRequest if it is none, TemporaryFailure: then all of it may come again."""
        for item in read_batch(body):
            reply = read_reply(item)
            outcome, staff_id = (ReplyOutcome.UNREADABLE, None) if reply is None else await self._take(reply)
            self._metrics.sms_replies.labels(outcome).inc()
            # Neither the phone nor the words: what somebody wrote to us belongs in no log.
            log.info("a reply by text message", outcome=outcome, staff_id=staff_id)

    async def _take(self, reply: Reply) -> tuple[ReplyOutcome, str | None]:
        """Return what became of a reply, and whose it is as far as that is known."""
        if await self._replies.is_known(reply.sequence_id):
            return ReplyOutcome.REPEATED, None
        meant = understand(reply.content)
        told = await self._replies.told(reply.phone, meant.code if meant else None)
        if told is None:
            return await self._conclude(reply, ReplyOutcome.UNKNOWN_PHONE), None
        chosen = ReplyOutcome.NOT_UNDERSTOOD if meant is None else choose(meant, told)
        if isinstance(chosen, Told):
            return await self._acknowledge(reply, chosen), chosen.staff_id
        unclear = [one for one in told if one.is_waiting] if chosen is ReplyOutcome.CODE_NEEDED else []
        return await self._conclude(reply, chosen, unclear), unclear[0].staff_id if unclear else None

    async def _acknowledge(self, reply: Reply, meant: Told) -> ReplyOutcome:
        person = await self._directory.find(meant.staff_id)
        if person is None or not person.active:
            return await self._conclude(reply, ReplyOutcome.UNKNOWN_PHONE)
        try:
            return await self._act.acknowledge_by_reply(meant.alert_id, caller_of(person), reply.sequence_id)
        except RefusedRequest:
            # Somebody else holds it, it is over, or it lies outside the person's reach by now.
            return await self._conclude(reply, ReplyOutcome.REFUSED)

    async def _conclude(self, reply: Reply, outcome: ReplyOutcome, unclear: list[Told] | None = None) -> ReplyOutcome:
        is_new = await self._replies.conclude(reply.sequence_id, outcome, self._clock.now(), unclear or ())
        return outcome if is_new else ReplyOutcome.REPEATED


def read_batch(body: bytes) -> list[object]:
    """Return the elements of a batch, whatever they are. Raises RefusedRequest."""
    # Not the strict decoder of events: a whole batch must not fail for a control character that somebody typed. What
    # is read here is compared with patterns and kept nowhere.
    try:
        batch = json.loads(body)
    except (ValueError, RecursionError):
        batch = None
    if not isinstance(batch, list):
        raise RefusedRequest("malformed-json", faults=[Fault("", "not_an_array", "send a JSON array of replies")])
    return batch
