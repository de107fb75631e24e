"""The county's feed: nothing is lost while ingest is away, nothing is enrolled twice."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import httpx2
import pytest

from deploy.demo.county import make_county
from deploy.demo.feed import FeedMisused, FeedSettings, enrol, opening_day, rate_after
from deploy.demo.sender import Sender

FIRST_DAY, NEXT_DAY = date(2026, 3, 2), date(2026, 3, 3)
EVENTS: list[dict[str, object]] = [{"id": f"e{number}"} for number in range(4)]
Answer = Callable[[httpx2.Request, list[str]], httpx2.Response]


class Ingest:
    """An ingest that keeps what it accepts; `answers` come first, then it accepts everything."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.accepted: list[str] = []
        self.requests = 0
        self.waited: list[float] = []
        self.troubles: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        ids = [json.loads(line)["id"] for line in request.content.decode().split("\n")]
        if self.answers:
            return self.answers.pop(0)(request, ids)
        self.accepted += ids
        if request.url.path == "/v1/events":
            return httpx2.Response(202, json={"id": ids[0], "status": "accepted"})
        return httpx2.Response(202, json={"results": [_verdict(place, "accepted") for place in range(len(ids))]})

    def sender(self) -> Sender:
        client = httpx2.Client(base_url="http://ingest", transport=httpx2.MockTransport(self))
        return Sender(client, self.troubles.append, self.waited.append)


def _verdict(index: int, status: str, problem: int = 0) -> dict[str, object]:
    return {"index": index, "status": status} | ({"problem": {"status": problem}} if problem else {})


def _away(request: httpx2.Request, ids: list[str]) -> httpx2.Response:
    raise httpx2.ConnectError("refused", request=request)


def _says(status: int, retry_after: str = "") -> Answer:
    return lambda request, ids: httpx2.Response(status, headers={"retry-after": retry_after} if retry_after else {})


def test_an_event_is_sent_again_until_ingest_is_back_and_willing() -> None:
    ingest = Ingest(_away, _away, _says(503, "2"), _says(429), _says(401))
    sender = ingest.sender()
    sender.send_one(EVENTS[0])
    assert ingest.accepted == ["e0"] and sender.tally.accepted == 1
    assert ingest.waited == [0.5, 1.0, 2.0, 1.0, 1.0]
    assert not any("http" in words for words in ingest.troubles)


def test_a_refused_event_is_counted_and_not_sent_again() -> None:
    ingest = Ingest(_says(422))
    sender = ingest.sender()
    sender.send_one(EVENTS[0])
    assert ingest.requests == 1 and sender.tally.refused == {422: 1}


def test_of_a_batch_only_what_was_not_taken_goes_again_after_the_asked_pause() -> None:
    def partly(request: httpx2.Request, ids: list[str]) -> httpx2.Response:
        verdicts = [
            _verdict(0, "accepted"),
            _verdict(1, "not_accepted", 503),
            _verdict(2, "refused", 422),
            _verdict(3, "not_accepted", 503),
        ]
        return httpx2.Response(207, json={"results": verdicts}, headers={"retry-after": "3"})

    ingest = Ingest(partly)
    sender = ingest.sender()
    sender.send_batch(EVENTS)
    assert ingest.accepted == ["e1", "e3"] and ingest.waited == [3.0]
    assert sender.tally.accepted == 3 and sender.tally.refused == {422: 1}


def test_all_households_are_enrolled_in_batches_ingest_takes_and_again_with_the_same_ids() -> None:
    first, second = Ingest(), Ingest(_away)
    enrol(make_county(1, FIRST_DAY), first.sender(), sleep=lambda _: None)
    enrol(make_county(1, FIRST_DAY), second.sender(), sleep=lambda _: None)
    assert len(first.accepted) == len(set(first.accepted)) == 3000
    assert second.accepted == first.accepted


def test_a_directory_keeps_the_day_on_which_its_county_opened(tmp_path: Path) -> None:
    assert opening_day(tmp_path / "run", 1, FIRST_DAY) == FIRST_DAY
    assert opening_day(tmp_path / "run", 1, NEXT_DAY) == FIRST_DAY
    assert opening_day(tmp_path / "run", 2, NEXT_DAY) == NEXT_DAY


def test_a_stream_without_a_rate_begins_with_2_a_second_and_slows_down() -> None:
    rates = [rate_after(sent) for sent in range(0, 6000, 100)]
    assert rates[0] == 2 and rates[6] == 1
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"INGEST_URL": "http://ingest"},
        {"SEED": "one"},
        {"SEED": "-1"},
        {"SEED": "1000000"},
        {"RATE": "fast"},
        {"RATE": "0"},
        {"RATE": "nan"},
    ],
)
def test_an_environment_that_cannot_be_used_is_refused(given: dict[str, str]) -> None:
    named = {"INGEST_URL": "http://ingest", "API_KEY": "k"} if set(given) & {"SEED", "RATE"} else {}
    with pytest.raises(FeedMisused):
        FeedSettings.from_environment({**named, **given})
