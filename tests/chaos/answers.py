"""What an answer of ingest means for each event that was sent: ok, fail, or nobody knows."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Literal, Self

Op = Literal["ok", "fail", "info"]
# 4xx that say nothing about the event itself.
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})
PROBLEM_TYPE = "application/problem+json"
UNREADABLE = "unreadable-answer"
"""In place of a slug: the answer was no problem document, or not one about what was sent."""
ECHOES = "echoes-the-caller"
"""In place of a slug: the answer repeats words of the event that nobody may repeat."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one event after a request. problem: a slug, or what happened to the connection."""

    op: Op
    status: int | None = None
    partition: int | None = None
    offset: int | None = None
    problem: str | None = None

    @classmethod
    def none(cls) -> Self:
        """Nothing is known yet."""
        return cls("info")


def broken_off(what: str, events: int) -> Sequence[Answer]:
    """No answer came: the events may be on the log, or may not."""
    return [Answer("info", problem=what)] * events


def read_answers(
    status: int, media_type: str, body: bytes, ids: Sequence[str], *, alone: bool, canaries: Collection[str] = ()
) -> Sequence[Answer]:
    """Read the answer to a request that held these events; alone: it was sent as a single event."""
    try:
        document = json.loads(body)
        if alone and status == HTTPStatus.ACCEPTED:
            answers: Sequence[Answer] = [_taken(document, ids[0])]
        elif not alone and status in (HTTPStatus.ACCEPTED, HTTPStatus.MULTI_STATUS):
            answers = _verdicts(document["results"], ids)
        else:
            problem = _slug(document) if media_type == PROBLEM_TYPE else UNREADABLE
            answers = [_not_taken(status, problem)] * len(ids)
    except (ValueError, LookupError, TypeError, AttributeError):
        # A proxy's page, half a document, or a bug of ingest: only the status can still say something.
        answers = [_not_taken(status, UNREADABLE)] * len(ids)
    return [replace(answer, problem=ECHOES) for answer in answers] if _sings(body, canaries) else answers


def retry_after(header: str | None) -> float | None:
    """Read a Retry-After in seconds; None if there is none of that form."""
    return float(header[:9]) if header and header.isascii() and header.isdecimal() else None


def _sings(body: bytes, canaries: Collection[str]) -> bool:
    written = (form for canary in canaries for form in (canary, json.dumps(canary)[1:-1]))
    return any(form.encode() in body for form in written)


def _verdicts(results: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> Sequence[Answer]:
    found = {result["index"]: result for result in results}
    if len(results) != len(ids) or set(found) != set(range(len(ids))):
        raise ValueError("not one verdict for each event")
    return [_verdict(found[index], event_id) for index, event_id in enumerate(ids)]


def _verdict(result: Mapping[str, Any], event_id: str) -> Answer:
    match result["status"]:
        case "accepted":
            return _taken(result, event_id)
        case "refused" | "not_accepted":
            return _not_taken(int(result["problem"]["status"]), _slug(result["problem"]))
        case _:
            raise ValueError("a verdict with an unknown status")


def _taken(document: Mapping[str, Any], event_id: str) -> Answer:
    if document["id"] != event_id or document["status"] != "accepted":
        raise ValueError("an answer about another event")
    return Answer("ok", HTTPStatus.ACCEPTED.value, int(document["partition"]), int(document["offset"]))


def _not_taken(status: int, problem: str) -> Answer:
    definite = 400 <= status < 500 and status not in _PASSING
    return Answer("fail" if definite else "info", status, problem=problem)


def _slug(problem: Mapping[str, Any]) -> str:
    return str(problem["type"]).rpartition("/")[2]
