"""B93-B100: records that did not come through ingest, or not as it writes them."""

import gzip
import json
from dataclasses import dataclass
from typing import Any

from shared.grade_message import write_grade_change
from tests.fakes.notifier import make_change
from tests.messages import make_message

HOUSEHOLD = "H-records"
KEY = HOUSEHOLD.encode()
# The topic takes 1,114,112 bytes with a record's own framing.
NEARLY_TOO_LARGE = 1_110_000


@dataclass(frozen=True, slots=True)
class RecordCase:
    """A record for the household's own partition. reason: why it is quarantined; None = it is sound and is applied.

    elsewhere: put on another partition than the key's.
    """

    code: str
    name: str
    value: bytes | None
    reason: str | None
    key: bytes | None = KEY
    headers: tuple[tuple[str, bytes], ...] = ()
    elsewhere: bool = False


def sound(event_id: str) -> bytes:
    """An event as ingest writes it."""
    return make_message("health.hospitalisation", HOUSEHOLD, {"self_pay_yuan": 5}, id=event_id).to_bytes()


def changed(event_id: str, **attributes: Any) -> bytes:
    """The same with other attributes; one given as ... is left out."""
    document = {**json.loads(sound(event_id)), **attributes}
    return json.dumps({name: value for name, value in document.items() if value is not ...}).encode()


FLOOD = tuple((f"h{number}", b"x" * 40) for number in range(5_000))
CASES = (
    RecordCase("B93", "null key", sound("b93"), "WRONG_KEY", key=None),
    RecordCase("B93", "empty key", sound("b93-empty"), "WRONG_KEY", key=b""),
    RecordCase("B94", "null value", None, "EMPTY_RECORD"),
    RecordCase("B94", "empty value", b"", "NOT_AN_EVENT"),
    RecordCase("B95", "another household's key", sound("b95"), "WRONG_KEY", key=b"H-2"),
    RecordCase("B95", "key that is no text", sound("b95-bytes"), "WRONG_KEY", key=b"\xff\xfe\x00"),
    RecordCase("B95", "another partition", sound("b95-partition"), "WRONG_PARTITION", elsewhere=True),
    RecordCase("B96", "5,000 headers on a sound event: nobody reads them", sound("b96"), None, headers=FLOOD),
    RecordCase("B96", "5,000 headers on nothing", b"{}", "NOT_AN_EVENT", headers=FLOOD),
    RecordCase("B97", "another envelope", changed("b97", specversion="0.3"), "NOT_AN_EVENT"),
    RecordCase("B97", "magic byte of a schema registry", b"\x00\x00\x00\x00\x01" + sound("b97-magic"), "NOT_AN_EVENT"),
    RecordCase("B97", "a change of grade on the topic of events", write_grade_change(make_change()), "NOT_AN_EVENT"),
    RecordCase("B97", "key given twice", sound("b97-twice")[:-1] + b',"id":"x"}', "NOT_AN_EVENT"),
    RecordCase("B97", "NaN", sound("b97-nan").replace(b":5}", b":NaN}"), "NOT_AN_EVENT"),
    RecordCase("B97", "NUL", sound("b97-nul").replace(b":5}", b':5,"person":"\\u0000"}'), "NOT_AN_EVENT"),
    RecordCase("B97", "another payload", changed("b97-data", data={"self_pay_yuan": "much"}), "INVALID_PAYLOAD"),
    RecordCase("B97", "a fraction where no model looks", changed("b97-rate", data={"rate": 0.5}), "INVALID_PAYLOAD"),
    RecordCase("B98", "version 0", changed("b98", type="cn.shouwang.health.hospitalisation.v0"), "UNKNOWN_TYPE"),
    RecordCase("B98", "version 2", changed("b98-2", type="cn.shouwang.health.hospitalisation.v2"), "UNKNOWN_TYPE"),
    RecordCase("B98", "a name without version", changed("b98-bare", type="health.hospitalisation"), "UNKNOWN_TYPE"),
    RecordCase("B98", "never received", changed("b98-never", recordedat=...), "NOT_RECEIVED"),
    RecordCase("B98", "received in 2019", changed("b98-old", recordedat="2019-01-01T00:00:00Z"), "NOT_RECEIVED"),
    RecordCase("B98", "received in ten years", changed("b98-new", recordedat="2036-01-01T00:00:00Z"), "NOT_RECEIVED"),
    RecordCase("B98", "attributes of a newer writer", changed("b98-more", newer="x", tags=[1, {"a": 2}]), None),
    # A batch that the broker itself cannot unpack never becomes a record; a value that somebody packed does.
    RecordCase("B99", "packed event", gzip.compress(sound("b99"), mtime=0), "NOT_AN_EVENT"),
    RecordCase("B99", "packed and cut", gzip.compress(sound("b99-cut"), mtime=0)[:40], "NOT_AN_EVENT"),
    RecordCase("B99", "every byte", bytes(range(256)) * 4, "NOT_AN_EVENT"),
    RecordCase("B100", "as large as the topic takes, of nothing", b"x" * NEARLY_TOO_LARGE, "NOT_AN_EVENT"),
    RecordCase("B100", "as large, of open arrays", b"[" * NEARLY_TOO_LARGE, "NOT_AN_EVENT"),
    RecordCase("B100", "as large, sound, with blanks", sound("b100").ljust(NEARLY_TOO_LARGE), None),
)  # fmt: skip
