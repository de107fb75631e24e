"""A record on the log becomes an event, or is refused with its reason; nothing else comes of it."""

from datetime import UTC, datetime

from services.scorer.read_record import RefusedRecord, read_record
from shared.bus.ports import Record
from tests.corpus.record_cases import KEY, changed

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


def test_a_fraction_in_a_field_that_no_model_knows_is_refused_with_its_place() -> None:
    read = read_record(Record(0, KEY, changed("b97-rate", data={"rate": [1, 0.5]}), 0), NOW)
    assert isinstance(read, RefusedRecord)
    assert (read.reason, read.detail, read.event_id) == ("INVALID_PAYLOAD", "/rate/1: fraction", "b97-rate")
