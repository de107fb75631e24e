"""What became of an event: told to the key that sent it, and to nobody else."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest

from services.ingest.store import LedgerEntry, QuarantinedRecord
from tests.fakes.ingest_edge import NOW, IngestUnderTest, make_event, started_ingest

SOURCE = "urn:app:village-notes"
APPLIED = LedgerEntry(SOURCE, "H-1", NOW, 0, 4, "enrolled")
QUARANTINED = QuarantinedRecord(SOURCE, "H-1", "INVALID_PAYLOAD", "months: int_type", 7, NOW + timedelta(seconds=1))
KEY = ("sw_all", "e-1")


@pytest.fixture
async def ingest() -> IngestUnderTest:
    return await started_ingest()


async def test_an_event_the_scorer_has_not_passed_is_accepted(ingest: IngestUnderTest) -> None:
    receipt = (await ingest.post(make_event())).json()
    answer = await ingest.get(f"/v1/events/e-1?source={SOURCE}")
    assert answer.status_code == 200
    fate = answer.json()
    assert (fate["id"], fate["source"], fate["status"]) == ("e-1", SOURCE, "accepted")
    assert (fate["partition"], fate["offset"]) == (receipt["partition"], receipt["offset"])
    assert fate["recorded_at"] == "2026-03-02T02:00:00.123Z"


async def test_an_applied_event_tells_the_grades_before_and_after(ingest: IngestUnderTest) -> None:
    await ingest.post(make_event())
    ingest.fates.ledger[KEY] = [APPLIED]
    fate = (await ingest.get("/v1/events/e-1")).json()
    assert (fate["status"], fate["grade_before"], fate["grade_after"]) == ("applied", "green", "red")
    assert (fate["household_id"], fate["conflicts"]) == ("H-1", 0)


async def test_an_event_of_a_household_nobody_enrolled_waits(ingest: IngestUnderTest) -> None:
    ingest.fates.ledger[KEY] = [replace(APPLIED, grade_before=None, grade_after=None, household_status="waiting")]
    fate = (await ingest.get("/v1/events/e-1")).json()
    assert (fate["status"], fate["grade_after"]) == ("waiting_for_enrolment", None)


async def test_a_quarantined_event_tells_the_reason(ingest: IngestUnderTest) -> None:
    ingest.fates.quarantined[KEY] = [QUARANTINED]
    fate = (await ingest.get("/v1/events/e-1")).json()
    assert (fate["status"], fate["reason"]) == ("quarantined", "INVALID_PAYLOAD")


async def test_a_conflicting_repeat_is_counted_and_the_first_stays_applied(ingest: IngestUnderTest) -> None:
    ingest.fates.ledger[KEY] = [APPLIED]
    ingest.fates.quarantined[KEY] = [replace(QUARANTINED, reason="CONFLICTING_DUPLICATE")] * 2
    fate = (await ingest.get("/v1/events/e-1")).json()
    assert (fate["status"], fate["conflicts"]) == ("applied", 2)


async def test_an_event_sent_anew_after_its_quarantine_is_accepted(ingest: IngestUnderTest) -> None:
    await ingest.post(make_event())
    ingest.fates.quarantined[KEY] = [replace(QUARANTINED, topic_offset=-1)]
    assert (await ingest.get("/v1/events/e-1")).json()["status"] == "accepted"
    ingest.fates.quarantined[KEY] = [replace(QUARANTINED, topic_offset=0)]
    assert (await ingest.get("/v1/events/e-1")).json()["status"] == "quarantined"


async def test_a_record_that_was_put_on_the_log_again_is_on_its_way_until_a_newer_row_tells_more(
    ingest: IngestUnderTest,
) -> None:
    retried = replace(QUARANTINED, retried=True)
    ingest.fates.quarantined[KEY] = [retried]
    fate = (await ingest.get("/v1/events/e-1")).json()
    assert (fate["status"], fate["household_id"], fate["reason"]) == ("accepted", "H-1", None)
    ingest.fates.quarantined[KEY] = [replace(QUARANTINED, topic_offset=9), retried]
    assert (await ingest.get("/v1/events/e-1")).json()["status"] == "quarantined"
    conflict = replace(QUARANTINED, reason="CONFLICTING_DUPLICATE")
    ingest.fates.ledger[KEY] = [APPLIED]
    ingest.fates.quarantined[KEY] = [conflict, replace(conflict, retried=True)]
    assert (await ingest.get("/v1/events/e-1")).json()["conflicts"] == 1, "one record, however often it is retried"


async def test_one_id_under_several_sources_needs_the_source(ingest: IngestUnderTest) -> None:
    await ingest.post(make_event())
    await ingest.post(make_event(source="urn:app:other"))
    answer = await ingest.get("/v1/events/e-1")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/query/source"
    assert (await ingest.get("/v1/events/e-1?source=urn:app:other")).json()["source"] == "urn:app:other"


async def test_another_key_is_answered_as_if_there_were_no_such_event(ingest: IngestUnderTest) -> None:
    await ingest.post(make_event())
    other = await ingest.get("/v1/events/e-1", as_key="village")
    absent = await ingest.get("/v1/events/e-2")
    assert (other.status_code, absent.status_code) == (404, 404)
    assert other.json() == absent.json()
    assert (await ingest.get("/v1/events/e-1", as_key=None)).status_code == 401


async def test_without_the_database_the_answer_waits(ingest: IngestUnderTest) -> None:
    await ingest.post(make_event())
    ingest.fates.away = True
    answer = await ingest.get("/v1/events/e-1")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


@pytest.mark.parametrize("event_id", ["a/b", "a?b", "a#b", "100%", "urn:x:y;z", "../x", "batch"])
async def test_any_printable_id_can_be_asked_for(ingest: IngestUnderTest, event_id: str) -> None:
    await ingest.post(make_event(id=event_id))
    answer = await ingest.get(f"/v1/events/{quote(event_id, safe='')}")
    assert answer.json()["id"] == event_id


@pytest.mark.parametrize(
    "path",
    [
        "%00",
        "a%00b",
        "%F0%9F%98%80",
        "%FF",
        "x" * 300,
        "",
        "a%20b",
        "e-1?source=%00",
        "e-1?source=",
        "e-1?source=a%20b",
    ],
)
async def test_an_impossible_id_or_source_is_not_found(ingest: IngestUnderTest, path: str) -> None:
    await ingest.post(make_event())
    assert (await ingest.get(f"/v1/events/{path}")).status_code == 404


@pytest.mark.parametrize("query", ["source=a&source=b", "src=a"])
async def test_parameters_are_read_strictly(ingest: IngestUnderTest, query: str) -> None:
    assert (await ingest.get(f"/v1/events/e-1?{query}")).status_code == 422
