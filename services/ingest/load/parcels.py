"""What is sent at one time: an event, or a batch of them, that is due at an instant and may have to go again."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Parcel:
    """Events that go in one request.

    bodies: one JSON document each. is_faulty: made so that it is refused. intended: when it was to be sent, in seconds
    of the run; the wait for its answer is counted from then, also after a repeat. sent: how often it has gone.
    """

    bodies: list[bytes]
    is_batch: bool = False
    is_faulty: bool = False
    intended: float = 0.0
    sent: int = field(default=0)
