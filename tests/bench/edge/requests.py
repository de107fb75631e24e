"""What is sent to ingest: the events of the benchmark's load as their senders wrote them."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.codec import encode_json
from shared.events.envelope import EventMessage
from tests.bench.load.events import messages
from tests.bench.load.households import Load

BATCH = 500


@dataclass(frozen=True, slots=True)
class Sendable:
    """Events in the order in which they are sent. bodies: as a client writes them; records: as ingest stores them."""

    keys: Sequence[bytes]
    bodies: Sequence[bytes]
    records: Sequence[bytes]


def sendable(load: Load) -> Sendable:
    """Return the events of a load, as sent and as stored."""
    made = list(messages(load))
    return Sendable(
        [one.subject.encode() for one in made], [_as_sent(one) for one in made], [one.to_bytes() for one in made]
    )


def _as_sent(message: EventMessage) -> bytes:
    written = message.model_dump(mode="json", exclude={"recordedat", "keyid"}, exclude_none=True)
    return encode_json(written)


def in_batches(bodies: Sequence[bytes], size: int = BATCH) -> list[list[bytes]]:
    """Cut events into batches of one size; what is left over at the end is not used."""
    return [list(bodies[start : start + size]) for start in range(0, len(bodies) - size + 1, size)]
