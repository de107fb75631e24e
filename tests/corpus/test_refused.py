"""Bad input over a real socket: a problem that names the place; no 5xx, no 202, no echo, nothing on the log."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.corpus.case import CANARY, GOOD, Case, Refused, named
from tests.corpus.server import Served, served_ingest
from tests.corpus.table import REFUSED

FIRST, LAST = named(GOOD, "first"), named(GOOD, "last")


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    async with served_ingest() as serving:
        yield serving


def check(problem: dict[str, Any], expected: Refused) -> None:
    assert (problem["status"], problem["type"].rsplit("/", 1)[-1]) == (expected.status, expected.slug), problem
    pointers = [fault["pointer"] for fault in problem.get("errors", [])]
    assert expected.pointer is None or expected.pointer in pointers, pointers


@pytest.mark.parametrize("case", REFUSED, ids=str)
async def test_a_bad_event_is_refused_alone_in_an_array_and_as_a_line(served: Served, case: Case) -> None:
    assert isinstance(case.expect, Refused)
    log = served.ingest.log.records
    log.clear()
    check((await served.post(case.body, as_key=case.as_key)).json(), case.expect)
    if case.cuts:
        check_between_good_ones(case.expect, await served.post_array([FIRST, case.body, LAST], case.as_key))
    else:
        assert (await served.post_array([case.body])).status_code in (207, 400, 413)
    if case.body.strip() and b"\n" not in case.body:
        check_between_good_ones(case.expect, await served.post_lines([FIRST, case.body, LAST], case.as_key))
    assert {json.loads(written.value)["id"] for written in log} <= {"first", "last"}


def check_between_good_ones(expected: Refused, answer: httpx2.Response) -> None:
    if answer.status_code == 413:
        # Too large for any batch, so that nothing of it was looked at.
        check(answer.json(), expected)
        return
    assert answer.status_code == 207
    first, refused, last = answer.json()["results"]
    assert (first["id"], refused["status"], last["id"]) == ("first", "refused", "last")
    assert CANARY not in json.dumps({**refused, "id": None})
    check(refused["problem"], expected)


async def test_an_event_cut_at_any_byte_is_refused_on_one_connection(served: Served) -> None:
    served.ingest.log.records.clear()
    for end in range(len(GOOD)):
        assert (await served.post(GOOD[:end])).status_code == 400, end
        assert (await served.post_array([GOOD[:end]])).status_code in (207, 400, 422), end
    assert served.ingest.log.records == []
    assert (await served.post(GOOD)).status_code == 202
