"""What can be read without a key: event types, schemas, OpenAPI, health, metrics, the catalogue of problems."""

import json
from typing import Any

import httpx2
import jsonschema
import pytest

from shared.events.catalogue import EVENT_TYPES
from shared.http.catalogue import PROBLEMS
from tests.fakes.ingest_edge import IngestUnderTest, make_event, started_ingest


@pytest.fixture(scope="module")
async def ingest() -> IngestUnderTest:
    return await started_ingest()


@pytest.fixture(scope="module")
async def openapi(ingest: IngestUnderTest) -> dict[str, Any]:
    document: dict[str, Any] = (await ingest.get("/openapi.json", as_key=None)).json()
    return document


async def test_every_listed_type_has_a_schema_and_an_example_that_is_accepted(ingest: IngestUnderTest) -> None:
    listing = (await ingest.get("/v1/event-types", as_key=None)).json()
    assert [row["type"] for row in listing["items"]] == list(EVENT_TYPES)
    assert listing["next"] is None
    for row in listing["items"]:
        schema = await ingest.get(row["schema"], as_key=None)
        assert schema.headers["content-type"] == "application/schema+json"
        jsonschema.Draft202012Validator(schema.json()).validate(row["example"])
        assert (await ingest.post(row["example"])).status_code == 202, row["type"]


async def test_an_unlisted_type_is_not_found(ingest: IngestUnderTest) -> None:
    for name in ("health.plague", "..%2fx", "%00"):
        assert (await ingest.get(f"/v1/event-types/{name}", as_key=None)).status_code == 404


async def test_openapi_describes_each_address_with_its_problems(openapi: dict[str, Any]) -> None:
    assert openapi["openapi"].startswith("3.1")
    assert set(openapi["paths"]) == {
        "/v1/events",
        "/v1/events/batch",
        "/v1/events/{event_id}",
        "/v1/event-types",
        "/v1/event-types/{event_type}",
    }
    post = openapi["paths"]["/v1/events"]["post"]
    refused = {"400", "401", "403", "408", "413", "414", "415", "422", "429", "431"}
    assert {"200", "202", "500", "503"} | refused == set(post["responses"])
    for status, response in post["responses"].items():
        kind = "application/json" if status.startswith("2") else "application/problem+json"
        assert list(response["content"]) == [kind], status
    assert "HTTPValidationError" not in json.dumps(openapi["paths"])


async def test_every_reference_in_openapi_leads_somewhere(openapi: dict[str, Any]) -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [found for inner in part.values() for found in references(inner)]
        return [found for inner in part for found in references(inner)] if isinstance(part, list) else []

    components = openapi["components"]["schemas"]
    for reference in references(openapi):
        assert reference.startswith("#/components/schemas/"), reference
        assert reference.removeprefix("#/components/schemas/") in components, reference


async def test_answers_have_the_shape_that_openapi_says(ingest: IngestUnderTest, openapi: dict[str, Any]) -> None:
    def check(answer: httpx2.Response, path: str, method: str) -> None:
        response = openapi["paths"][path][method]["responses"][str(answer.status_code)]
        content = response["content"][answer.headers["content-type"]]
        schema = {**content["schema"], "components": openapi["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json())

    check(await ingest.post(make_event()), "/v1/events", "post")
    check(await ingest.post(make_event(), path="/v1/events?dry_run=true"), "/v1/events", "post")
    check(await ingest.post({}), "/v1/events", "post")
    check(await ingest.post(b"{"), "/v1/events", "post")
    batch = "application/cloudevents-batch+json"
    check(await ingest.post([{}], path="/v1/events/batch", content_type=batch), "/v1/events/batch", "post")
    check(await ingest.post([make_event()], path="/v1/events/batch", content_type=batch), "/v1/events/batch", "post")
    check(await ingest.get("/v1/events/e-1"), "/v1/events/{event_id}", "get")
    check(await ingest.get("/v1/events/nothing"), "/v1/events/{event_id}", "get")
    check(await ingest.get("/v1/event-types"), "/v1/event-types", "get")


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/v1/events/", "/v2/events", "/", "/../etc/passwd", "/v1//events"])
async def test_other_addresses_are_not_found(ingest: IngestUnderTest, path: str) -> None:
    answer = await ingest.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "HEAD", "OPTIONS"])
async def test_other_methods_are_not_served(ingest: IngestUnderTest, method: str) -> None:
    async with ingest.client() as client:
        answer = await client.request(method, "/v1/events", headers={"x-http-method-override": "POST"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_every_kind_of_answer_carries_the_fixed_headers(ingest: IngestUnderTest) -> None:
    for path in (
        "/livez",
        "/readyz",
        "/metrics",
        "/problems",
        "/problems/forbidden",
        "/v1/event-types",
        "/openapi.json",
    ):
        answer = await ingest.get(path, as_key=None)
        assert answer.status_code == 200, path
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert answer.headers.get_list("cache-control") == ["no-store"]
        assert "server" not in answer.headers


async def test_a_fault_of_ours_is_a_bare_500_with_a_trace_id(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = await started_ingest()

    def fail(*_: object) -> None:
        raise RuntimeError("CANARY7731")

    monkeypatch.setattr(broken.accept, "check", fail)
    answer = await broken.post(make_event())
    assert answer.status_code == 500
    assert "CANARY7731" not in answer.text
    assert answer.json()["trace_id"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_readiness_names_the_part_that_is_away() -> None:
    unready = await started_ingest()
    assert (await unready.get("/readyz", as_key=None)).status_code == 200
    unready.log.away = True
    answer = await unready.get("/readyz", as_key=None)
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"log": "the log is not connected", "keys": "ok"}
    assert (await unready.get("/livez", as_key=None)).status_code == 200
    assert (await IngestUnderTest().get("/readyz", as_key=None)).json()["checks"]["keys"] != "ok"


async def test_all_labels_of_the_metrics_exist_from_the_start() -> None:
    fresh = IngestUnderTest()
    for verdict in ("accepted", "refused", "not_accepted"):
        assert fresh.count("events_total", verdict=verdict) == 0
    for slug, problem in PROBLEMS.items():
        assert fresh.count("refused_total", problem=slug) == (0 if problem.status < 500 else -1)
    text = (await fresh.get("/metrics", as_key=None)).text
    assert all(line.startswith(("#", "shouwang_ingest_")) for line in text.splitlines())


@pytest.mark.parametrize("host", ["", "a b", "[", "[::1", "x:y:z", "\u00e9", "a" * 3_000])
async def test_an_odd_host_header_does_no_harm(ingest: IngestUnderTest, host: str) -> None:
    answer = await ingest.post({}, headers={"host": host})
    assert answer.status_code == 422
