"""One client that behaves like a field app: the same id and bytes on every try, patient where it is told to wait.

Journal lines ("client.jsonl"), one per event and moment, all with the same fields:
    {"at", "run", "op", "id", "source", "household", "type", "kind", "serious", "status", "offset", "partition",
     "intended", "latency", "problem", "body_sha", "attempt"}
op: invoke (on disk before the request leaves), ok (202), fail (definite 4xx), info (nobody knows: no answer in time,
connection broken, 5xx, 408, 429, an answer that makes no sense). type: as the rule book names it. intended: unix
seconds at which the event was to be sent; latency: seconds from then to the answer, null on invoke. status: the HTTP
status (in a batch: the event's own), null without an answer. problem: the slug of the problem document's type; or
"unreadable-answer", or "echoes-the-caller" (the answer repeats a canary); or what went wrong with the connection.
body_sha: SHA-256 of the event's bytes. attempt: from 1.
One send is (source, id, body_sha): a duplicate shares all three with an earlier event, a conflict only source and id.

Before an event's bytes leave for the first time, "events.jsonl" has them:
    {"at", "run", "id", "source", "household", "type", "kind", "serious", "body_sha", "body"}
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import httpx2

from tests.chaos.answers import Answer, broken_off, read_answers, retry_after
from tests.chaos.journal import Journal

TIMEOUT_SECONDS = 5.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0


class Kind(StrEnum):
    """Why the workload sends an event."""

    NORMAL = "normal"
    SERIOUS = "serious"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    LATE = "late"
    REORDERED = "reordered"
    BATCH = "batch"
    INVALID = "invalid"


class Form(StrEnum):
    """How events travel: one alone, or many in one of the two batch formats."""

    ONE = "application/cloudevents+json"
    JSON_BATCH = "application/cloudevents-batch+json"
    LINES = "application/x-ndjson"

    @property
    def path(self) -> str:
        """Where ingest takes this form."""
        return "/v1/events" if self is Form.ONE else "/v1/events/batch"

    def body(self, events: Sequence["FieldEvent"]) -> bytes:
        """Put the events' own bytes together; ONE takes exactly one."""
        bodies = [event.body for event in events]
        match self:
            case Form.ONE:
                (body,) = bodies
                return body
            case Form.JSON_BATCH:
                return b"[" + b",".join(bodies) + b"]"
            case Form.LINES:
                return b"\n".join(bodies)


@dataclass(frozen=True)
class FieldEvent:
    """One event as it is sent, whenever and however often. body: UTF-8. intended: unix seconds."""

    id: str
    source: str
    household: str
    type: str
    kind: Kind
    serious: bool
    body: bytes
    intended: float

    @cached_property
    def body_sha(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def facts(self) -> Mapping[str, object]:
        """What both journals say of it."""
        return {
            "id": self.id,
            "source": self.source,
            "household": self.household,
            "type": self.type,
            "kind": self.kind,
            "serious": self.serious,
            "body_sha": self.body_sha,
        }


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one request ended. unknown: the events to send again; pause_seconds: not before this time has passed."""

    unknown: tuple[FieldEvent, ...]
    pause_seconds: float


class FieldApp:
    """Posts events to one ingest and journals what it did and what it was told."""

    def __init__(
        self,
        base_url: Callable[[], str],
        api_key: str,
        run: str,
        journal: Journal,
        events: Journal,
        timeout_seconds: float = TIMEOUT_SECONDS,
        canaries: Collection[str] = (),
    ) -> None:
        """base_url: asked for each request, since ingest may come back elsewhere. events: gets each event's bytes.

        canaries: words that no answer may repeat.
        """
        self.api_key = api_key
        self.answers: Counter[str] = Counter()
        """Journalled answers by op."""
        self._base_url = base_url
        self._run = run
        self._journal = journal
        self._events = events
        self._timeout = timeout_seconds
        self._canaries = canaries
        self._shown: set[tuple[str, str, str]] = set()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        # No limit here: how many requests are open is the business of whoever sends.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=50)
        self._client = httpx2.AsyncClient(timeout=timeout_seconds, limits=limits, trust_env=False)

    async def post(self, events: Sequence[FieldEvent], form: Form, attempt: int) -> Attempt:
        """Make one request. Never raises for what the network or ingest does."""
        self._under_way += 1
        self._idle.clear()
        try:
            await self._tell_before(events, attempt)
            answers, asked_pause = await self._exchange(events, form)
            for event, answer in zip(events, answers, strict=True):
                self._tell_after(event, answer, attempt)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        unknown = tuple(event for event, answer in zip(events, answers, strict=True) if answer.op == "info")
        own_pause = FIRST_PAUSE_SECONDS * 2 ** min(attempt - 1, 10)
        return Attempt(unknown, min(asked_pause or own_pause, LONGEST_PAUSE_SECONDS))

    async def quiet(self) -> None:
        """Return once no request is under way."""
        await self._idle.wait()

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def _tell_before(self, events: Sequence[FieldEvent], attempt: int) -> None:
        on_disk = []
        for event in events:
            send = (event.source, event.id, event.body_sha)
            if send not in self._shown:
                self._shown.add(send)
                on_disk.append(self._events.write(run=self._run, **event.facts, body=event.body.decode()))
            on_disk.append(self._journal.write(**self._line("invoke", event, Answer.none(), attempt, None)))
        await asyncio.gather(*(asyncio.wrap_future(line) for line in on_disk))

    def _tell_after(self, event: FieldEvent, answer: Answer, attempt: int) -> None:
        latency = time.time() - event.intended
        self.answers[answer.op] += 1
        self._journal.write(**self._line(answer.op, event, answer, attempt, latency))

    def _line(
        self, op: str, event: FieldEvent, answer: Answer, attempt: int, latency: float | None
    ) -> dict[str, object]:
        return {
            "run": self._run,
            "op": op,
            **event.facts,
            "status": answer.status,
            "offset": answer.offset,
            "partition": answer.partition,
            "intended": event.intended,
            "latency": latency,
            "problem": answer.problem,
            "attempt": attempt,
        }

    async def _exchange(self, events: Sequence[FieldEvent], form: Form) -> tuple[Sequence[Answer], float | None]:
        """Send and read; the answer for each event, and the seconds that ingest asked us to wait."""
        ids = [event.id for event in events]
        headers = {"authorization": f"Bearer {self.api_key}", "content-type": form.value}
        try:
            async with asyncio.timeout(self._timeout):
                reply = await self._client.post(
                    self._base_url() + form.path, content=form.body(events), headers=headers
                )
        except (TimeoutError, httpx2.TimeoutException):
            return broken_off("timeout", len(ids)), None
        except httpx2.RequestError as error:
            return broken_off(type(error).__name__, len(ids)), None
        except AttributeError as error:
            # Reset in the very moment of connecting: the client library asks a socket that is gone for its peer.
            if error.name != "getpeername":
                raise
            return broken_off("reset while connecting", len(ids)), None
        media_type = reply.headers.get("content-type", "").partition(";")[0]
        alone = form is Form.ONE
        answers = read_answers(reply.status_code, media_type, reply.content, ids, alone=alone, canaries=self._canaries)
        return answers, retry_after(reply.headers.get("retry-after"))
