"""What is fuzzed: every reader of bytes from outside, each with what must hold for any input whatsoever.

A target returns for what it reads and for what it refuses in its own way. Whatever else it raises is a find.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from services.ingest.accept_event import decode_event
from services.ingest.binary_mode import event_document
from services.ingest.check_event import check_event, trace_of
from services.ingest.read_batch import split_batch
from services.ingest.read_request import BATCH, MAX_EVENT_BYTES, SINGLE, Headers, Mode, header_values, mode_of
from services.notifier.channels.webhook import check_secret, check_url, retry_after_seconds, signed_headers
from services.notifier.console.routes import local_path
from services.notifier.core.sms_replies import ALPHABET, read_reply, understand
from services.notifier.imports import read_divisions, read_staff
from services.notifier.raise_alert import read_records
from services.notifier.routes import read_cursor
from services.notifier.sheets import FileRefused
from services.notifier.take_replies import read_batch
from services.scorer.read_record import ReceivedEvent, RefusedRecord, read_at_a_glance, read_record, read_through
from shared.access import AccessKey
from shared.bus.ports import Claim, PartitionBatch, Record, TopicPartition
from shared.codec import JsonFraction, MalformedJson, decode_json, encode_json
from shared.errors import RefusedRequest
from shared.events.envelope import EventMessage, read_event
from shared.grade_message import write_grade_change
from shared.policy.faults import PolicyInvalid
from shared.policy.reading import SHIPPED, load_policy
from tests.corpus import record_cases
from tests.corpus.table import CASES
from tests.fakes.ingest_edge import NOW, SCOPES
from tests.fakes.notifier import DIVISIONS, make_change
from tests.fakes.vendors import reply_of

KEY = AccessKey(key_id="k", secret_sha256=b"", name="n", scopes=SCOPES["all"], created_at=NOW)
RECEIVED_AT = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Target:
    """run: one input. seeds: inputs to begin with. takes_json: whole inputs are JSON documents."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    takes_json: bool = False


def decoder(body: bytes) -> None:
    """What is decoded can be written and is then decoded to the same."""
    try:
        document = decode_json(body)
    except MalformedJson:
        return
    if not _has_fraction(document):
        assert decode_json(encode_json(document)) == document


def _has_fraction(value: object) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, JsonFraction) or any(_has_fraction(one) for one in inner)


def envelope(body: bytes) -> None:
    """An event that is read from the log can be written and is then read as the same."""
    try:
        message = read_event(body, tolerant=True)
    except (MalformedJson, ValidationError):
        return
    if not _has_fraction(message.data):
        once = read_event(message.to_bytes(), tolerant=True)
        assert read_event(once.to_bytes(), tolerant=True) == once
        assert (once.identity, once.data) == (message.identity, message.data)


def edge(body: bytes) -> None:
    """What the edge takes, the scorer can apply."""
    try:
        message = check_event(decode_event(body), KEY, NOW)
    except RefusedRequest:
        return
    _check_applicable(message)


def binary_mode(request: bytes) -> None:
    """The same for attributes in headers: lines of "name: value", a blank line, the payload."""
    headers, payload = _split_request(request)
    try:
        mode_of([*headers, (b"content-type", b"application/json")], SINGLE)
        message = check_event(event_document(headers, decode_event(payload)), KEY, NOW)
    except RefusedRequest:
        return
    _check_applicable(message)


def _check_applicable(message: EventMessage) -> None:
    received = message.received(RECEIVED_AT, "k")
    read = read_record(Record(0, message.subject.encode(), received.to_bytes(), 0), NOW)
    assert isinstance(read, ReceivedEvent), read
    assert (read.event.payload, read.event.identity) == (message.data, message.identity)


def headers(request: bytes) -> None:
    """How the events of a request are written, from its headers."""
    found, _ = _split_request(request)
    for allowed in (SINGLE, BATCH):
        try:
            mode_of(found, allowed)
        except RefusedRequest:
            continue
    trace_of(header_values(found, "traceparent"))


def _split_request(request: bytes) -> tuple[Headers, bytes]:
    head, _, payload = request.partition(b"\n\n")
    lines = [line.partition(b":") for line in head.split(b"\n")]
    return [(name.strip().lower(), value.strip()) for name, _, value in lines], payload


def batch(body: bytes) -> None:
    """A batch is cut into the events that any other reader finds in it."""
    for mode in (Mode.JSON_BATCH, Mode.LINES):
        try:
            events = split_batch(mode, body)
        except RefusedRequest:
            continue
        if mode is Mode.JSON_BATCH:
            _check_cut(body, events)


def _check_cut(body: bytes, events: list[bytes]) -> None:
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return
    # NaN is not equal to itself; written again, both are the same text.
    assert [json.dumps(json.loads(event)) for event in events] == [json.dumps(event) for event in whole]


def record(value: bytes) -> None:
    """Any record is either an event or has a reason, for the scorer, however it reads it, and for the notifier."""
    key, _, body = value.partition(b"\n")
    read = read_through(Record(0, key, body, 0), NOW)
    assert isinstance(read, ReceivedEvent | RefusedRecord)
    assert read_at_a_glance(Record(0, key, body, 0), NOW) in (None, read)
    partition = TopicPartition("t", 0)
    read_records(PartitionBatch(partition, Claim(1, 0), [Record(0, key, body, 0)]))


def policy(text: bytes) -> None:
    """A policy file is read or refused with its faults."""
    try:
        load_policy(_file(text))
    except PolicyInvalid as invalid:
        assert invalid.faults


def staff_lists(text: bytes) -> None:
    """Lists of people and divisions are read or refused with their faults."""
    file = _file(text)
    for read in (lambda: read_divisions(file), lambda: read_staff(file, DIVISIONS, allow_plain=False)):
        try:
            read()
        except FileRefused as refused:
            assert refused.faults


def webhook(text: bytes) -> None:
    """An address, a secret and a receiver's Retry-After are usable, or refused with ValueError."""
    url, secret, retry_after, *_ = [*text.decode("utf-8", "replace").split("\n"), "", "", ""]
    with suppress(ValueError):
        assert check_url(url, allow_plain=False).scheme == "https"
    with suppress(ValueError):
        check_secret(secret)
        signed_headers(secret, "{}", "msg_1", NOW)
    retry_after_seconds(retry_after, NOW)


def console(text: bytes) -> None:
    """No text leads to another site after the login; a cursor is a place in the list or is refused."""
    given = text.decode("utf-8", "replace")
    onward = local_path(given)
    assert onward.startswith("/") and not onward.startswith(("//", "/\\"))
    with suppress(RefusedRequest):
        read_cursor(given)


def replies(body: bytes) -> None:
    """What the vendor of text messages posts is replies, or is passed over; each is understood or is not."""
    with suppress(RefusedRequest):
        for reply in map(read_reply, read_batch(body)):
            assert reply is None or (reply.phone == "" or (len(reply.phone) == 11 and reply.phone.isdigit()))
            meant = understand(reply.content) if reply else None
            assert meant is None or set(meant.code or "") <= set(ALPHABET)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="shouwang-fuzz-")


def _file(text: bytes) -> Path:
    file = Path(_folder().name) / "input"
    file.write_bytes(text)
    return file


def _bodies() -> Iterable[bytes]:
    return (case.body for case in CASES if len(case.body) <= MAX_EVENT_BYTES)


def _requests() -> Iterable[bytes]:
    for body in _bodies():
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and len(body) < 4_000:
            lines = [f"ce-{name}: {value}" for name, value in event.items() if name != "data"]
            yield "\n".join([*lines, "", json.dumps(event.get("data"))]).encode("utf-8", "replace")


def _batches() -> Iterable[bytes]:
    bodies = [body for body in _bodies() if len(body) < 2_000]
    for first, second in zip(bodies[::2], bodies[1::2], strict=False):
        yield b"[" + first + b"," + second + b"]"
        yield first + b"\n" + second


def _records() -> Iterable[bytes]:
    yield record_cases.KEY + b"\n" + record_cases.sound("e")
    yield b"H-1024\n" + write_grade_change(make_change())
    for case in record_cases.CASES:
        yield (case.key or b"") + b"\n" + (case.value or b"")[:4_000]


def _policies() -> Iterable[bytes]:
    return (file.read_bytes() for file in (*SHIPPED.glob("*.json"), *SHIPPED.glob("examples/*.json")))


_STAFF = b"staff_id,name,role,division,email,webhook_url,webhook_secret\n"
TARGETS: Mapping[str, Target] = {
    "decoder": Target(decoder, _bodies, takes_json=True),
    "envelope": Target(envelope, lambda: (record_cases.sound("e"), *_bodies()), takes_json=True),
    "edge": Target(edge, _bodies, takes_json=True),
    "binary-mode": Target(binary_mode, _requests),
    "headers": Target(headers, lambda: [b"content-type: application/json; charset=utf-8\nce-specversion: 1.0\n\n"]),
    "batch": Target(batch, _batches, takes_json=True),
    "record": Target(record, _records),
    "policy": Target(policy, _policies, takes_json=True),
    "staff-lists": Target(
        staff_lists,
        lambda: [
            _STAFF
            + b"c-1,\xe8\x99\x9a,cadre,990100101201,c@staff.example,https://x.example/h,whsec_QUJDREVGR0hJSktM\n",
            b"code,name\n990100101201,\xe6\x9f\x90\xe6\x9d\x91\n",
        ],
    ),
    "webhook": Target(
        webhook, lambda: [b"https://x.example/h\nwhsec_QUJDREVGR0hJSktMTU5P\n120", b"\n\nMon, 02 Mar 2026 09:30:00 GMT"]
    ),
    "sms-replies": Target(
        replies,
        lambda: [
            encode_json([reply_of(1, "1 AC34"), reply_of("2", "签收", "+8613800000000"), reply_of(1.5, "?")]),
            b'[{"sequence_id": 1e3, "phone_number": "", "content": "\\ud800"}]',
        ],
        takes_json=True,
    ),
    "console": Target(console, lambda: [b"/alerts/x", b"WyIyMDI2LTAzLTAyVDAxOjMwOjAwKzAwOjAwIiwiYSJd"]),
}
