"""Posts events to ingest and does not give up: the same bytes go again until ingest has answered for them."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx2

from deploy.demo.events import CloudEvent

NDJSON = "application/x-ndjson"
ONE_EVENT = "application/cloudevents+json"
TIMEOUT_SECONDS = 15.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 5.0
LONGEST_RETRY_AFTER_SECONDS = 30.0
# Neither is about the event: a key may be unknown until ingest has read it, the others pass by themselves.
_PASSING = {HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


def passes(status: int) -> bool:
    """Whether the same request may well be taken later."""
    return status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR


@dataclass(slots=True)
class Tally:
    """What became of the events: accepted, or refused by status."""

    accepted: int = 0
    refused: Counter[int] = field(default_factory=Counter)


class Sender:
    """Sends to one ingest with one key.

    on_trouble: told, in a few words without any address or value, why it waits.
    """

    def __init__(
        self,
        client: httpx2.Client,
        on_trouble: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._on_trouble = on_trouble
        self._sleep = sleep
        self.tally = Tally()

    def send_one(self, event: CloudEvent) -> None:
        """Send one event until it is accepted or refused for good."""
        answer = self._ask("/v1/events", json.dumps(event, ensure_ascii=False), ONE_EVENT)
        self._count(answer.status_code)

    def send_batch(self, events: Sequence[CloudEvent]) -> None:
        """Send up to 500 events; those that ingest could not take at the moment go again, the others do not."""
        waiting = list(events)
        while waiting:
            body = "\n".join(json.dumps(event, ensure_ascii=False) for event in waiting)
            answer = self._ask("/v1/events/batch", body, NDJSON)
            again = self._passed_over(answer, waiting)
            if again:
                self._on_trouble(f"{len(again)} events of a batch were not taken yet")
                self._sleep(_retry_after(answer))
            waiting = again

    def _passed_over(self, answer: httpx2.Response, sent: Sequence[CloudEvent]) -> list[CloudEvent]:
        """Count the verdicts of a batch; the events to send again."""
        if answer.status_code not in (HTTPStatus.ACCEPTED, HTTPStatus.MULTI_STATUS):
            self.tally.refused[answer.status_code] += len(sent)
            return []
        again: list[CloudEvent] = []
        for verdict in answer.json()["results"]:
            match verdict["status"]:
                case "not_accepted":
                    again.append(sent[verdict["index"]])
                case "refused":
                    self._count(verdict["problem"]["status"])
                case _:
                    self._count(HTTPStatus.ACCEPTED)
        return again

    def _count(self, status: int) -> None:
        if status == HTTPStatus.ACCEPTED:
            self.tally.accepted += 1
        else:
            self.tally.refused[status] += 1

    def _ask(self, path: str, body: str, content_type: str) -> httpx2.Response:
        """Post until ingest is there and answers with something that will not pass by waiting."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = self._client.post(path, content=body.encode(), headers={"content-type": content_type})
            except httpx2.TransportError as error:
                self._on_trouble(f"ingest cannot be reached ({type(error).__name__})")
                self._sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            if not passes(answer.status_code):
                return answer
            self._on_trouble(f"ingest answers {answer.status_code}")
            self._sleep(_retry_after(answer))


def _retry_after(answer: httpx2.Response) -> float:
    """Seconds that ingest asks us to wait; 1 when it does not say."""
    told = answer.headers.get("retry-after", "")
    return min(float(told), LONGEST_RETRY_AFTER_SECONDS) if told.isdecimal() else 1.0


def open_client(ingest_url: str, api_key: str) -> httpx2.Client:
    """An HTTP client for ingest; no proxy of the environment comes between."""
    headers = {"authorization": f"Bearer {api_key}"}
    return httpx2.Client(base_url=ingest_url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)
