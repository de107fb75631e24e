"""The addresses of ingest: who may ask, how the request is read, what is answered."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response

from services.ingest import openapi
from services.ingest.accept_event import AcceptEvents, Verdict, decode_event
from services.ingest.binary_mode import as_sent, event_document
from services.ingest.check_event import trace_of
from services.ingest.event_fate import EventFate
from services.ingest.event_types import PATH as EVENT_TYPES_PATH
from services.ingest.event_types import EventTypePages
from services.ingest.limits import RETRY_LOG_SECONDS, InFlight
from services.ingest.metrics import IngestMetrics
from services.ingest.read_batch import split_batch
from services.ingest.read_request import (
    BATCH,
    MAX_BATCH_BYTES,
    MAX_EVENT_BYTES,
    SINGLE,
    Headers,
    Mode,
    header_values,
    mode_of,
    read_body,
)
from shared.codec import encode_json
from shared.errors import Fault, RefusedRequest
from shared.http.bearer import KeyCache
from shared.http.catalogue import PROBLEMS
from shared.http.direct import Answer
from shared.http.problems import problem_document


@dataclass(frozen=True, slots=True)
class Edge:
    """What the routes need."""

    accept: AcceptEvents
    fate: EventFate
    keys: KeyCache
    in_flight: InFlight
    metrics: IngestMetrics
    event_types: EventTypePages


def add_routes(app: FastAPI, edge: Edge) -> Mapping[str, Answer]:
    """Serve the events' addresses; return those that are worth answering ahead of the app, by path."""

    async def post_event(request: Request) -> Response:
        try:
            return await _take_event(edge, request)
        except RefusedRequest as refused:
            if PROBLEMS[refused.problem].status < 500:
                edge.metrics.event_refused(refused.problem)
            else:
                edge.metrics.not_accepted()
            raise

    async def post_batch(request: Request) -> Response:
        try:
            return await _take_batch(edge, request)
        except RefusedRequest as refused:
            edge.metrics.refused(refused.problem)
            raise

    async def get_event(request: Request, event_id: str) -> Response:
        key = edge.keys.authenticate(request)
        with edge.in_flight.request_of(key.key_id):
            _refuse_other_parameters(request, "source")
            fate = await edge.fate.tell(key.key_id, event_id, _single(request, "source"))
            return Response(fate.model_dump_json(), media_type="application/json")

    async def list_event_types() -> Response:
        return Response(edge.event_types.listing, media_type="application/json")

    async def get_event_type(event_type: str) -> Response:
        schema = edge.event_types.schemas.get(event_type)
        if schema is None:
            raise RefusedRequest("not-found")
        return Response(schema, media_type="application/schema+json")

    app.add_api_route("/v1/events", post_event, methods=["POST"], **openapi.POST_EVENT)
    app.add_api_route("/v1/events/batch", post_batch, methods=["POST"], **openapi.POST_BATCH)
    # An id may hold any printable character, a slash too.
    app.add_api_route("/v1/events/{event_id:path}", get_event, methods=["GET"], **openapi.GET_EVENT)
    app.add_api_route(EVENT_TYPES_PATH, list_event_types, methods=["GET"], **openapi.LIST_EVENT_TYPES)
    app.add_api_route(f"{EVENT_TYPES_PATH}/{{event_type}}", get_event_type, methods=["GET"], **openapi.GET_EVENT_TYPE)
    return {"/v1/events": post_event, "/v1/events/batch": post_batch}


async def _take_event(edge: Edge, request: Request) -> Response:
    headers: Headers = request.scope["headers"]
    key = edge.keys.authenticate(request)
    with edge.in_flight.request_of(key.key_id) as held:
        dry_run = _dry_run(request)
        mode = mode_of(headers, SINGLE)
        body = await read_body(request.receive, headers, max_bytes=MAX_EVENT_BYTES, arrived=held.grow)
        document = decode_event(body)
        sender = edge.accept.sender(key, trace_of(header_values(headers, "traceparent")))
        if mode is Mode.BINARY:
            event_sent = event_document(headers, document)
            with _in_terms_of_headers():
                event = edge.accept.check(event_sent, sender)
        else:
            event = edge.accept.check(document, sender)
        if dry_run:
            return _json({"id": event.id, "status": "valid"}, 200)
        receipt = await edge.accept.one(event, sender, held)
        answer = {"id": event.id, "status": "accepted", "partition": receipt.partition, "offset": receipt.offset}
        return _json(answer, 202)


async def _take_batch(edge: Edge, request: Request) -> Response:
    headers: Headers = request.scope["headers"]
    key = edge.keys.authenticate(request)
    with edge.in_flight.request_of(key.key_id) as held:
        dry_run = _dry_run(request)
        mode = mode_of(headers, BATCH)
        body = await read_body(request.receive, headers, max_bytes=MAX_BATCH_BYTES, arrived=held.grow)
        bodies = split_batch(mode, body)
        sender = edge.accept.sender(key, trace_of(header_values(headers, "traceparent")))
        verdicts = await edge.accept.batch(bodies, sender, held, dry_run=dry_run)
        return _batch_answer(request, verdicts)


def _json(answer: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(encode_json(answer), status, headers, "application/json")


def _dry_run(request: Request) -> bool:
    """Read `dry_run`; a misspelt parameter is refused, because else the event would be sent in earnest."""
    if not request.scope["query_string"]:
        return False
    _refuse_other_parameters(request, "dry_run")
    given = _single(request, "dry_run")
    if given not in (None, "true", "false"):
        raise _parameter("dry_run", "give true or false")
    return given == "true"


def _single(request: Request, name: str) -> str | None:
    given = request.query_params.getlist(name)
    if len(given) > 1:
        raise _parameter(name, "give this parameter once")
    return given[0] if given else None


def _refuse_other_parameters(request: Request, known: str) -> None:
    if any(name != known for name in request.query_params):
        raise _parameter("", f"the only parameter here is {known}")


def _parameter(name: str, detail: str) -> RefusedRequest:
    fault = Fault(f"/query/{name}".rstrip("/"), "parameter", detail)
    return RefusedRequest("invalid-request", detail, faults=[fault])


@contextmanager
def _in_terms_of_headers() -> Iterator[None]:
    try:
        yield
    except RefusedRequest as refused:
        raise RefusedRequest(refused.problem, refused.detail, faults=as_sent(refused.faults)) from None


def _batch_answer(request: Request, verdicts: Sequence[Verdict]) -> Response:
    away = next((verdict.refusal for verdict in verdicts if verdict.status == "not_accepted"), None)
    if away is not None and all(verdict.status == "not_accepted" for verdict in verdicts):
        raise away
    all_taken = all(verdict.status in ("accepted", "valid") for verdict in verdicts)
    taken_status = 200 if verdicts[0].status == "valid" else 202
    headers = {"Retry-After": str(RETRY_LOG_SECONDS)} if away is not None else None
    base_url = str(request.base_url)
    results = [_result(verdict, base_url) for verdict in verdicts]
    return _json({"results": results}, taken_status if all_taken else 207, headers)


def _result(verdict: Verdict, base_url: str) -> dict[str, Any]:
    result: dict[str, Any] = {"index": verdict.place, "id": verdict.event_id, "status": verdict.status}
    if verdict.receipt is not None:
        result["partition"], result["offset"] = verdict.receipt
    if verdict.refusal is not None:
        problem = PROBLEMS[verdict.refusal.problem]
        result["problem"] = problem_document(problem, base_url, verdict.refusal.detail, verdict.refusal.faults)
    return result
