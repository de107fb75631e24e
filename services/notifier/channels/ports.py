"""What the delivery worker asks of a channel."""

from dataclasses import dataclass
from typing import Protocol

from services.notifier.core.message import Message
from services.notifier.core.retries import Attempt
from shared.alerts import ChannelName


@dataclass(frozen=True, slots=True)
class Address:
    """Where a person is reached by one channel. address: None once that way is closed.

    secret: of a webhook one or more signing secrets with spaces between, the newest first.
    """

    staff_id: str
    address: str | None = None
    secret: str | None = None

    def __repr__(self) -> str:
        return f"Address(staff_id={self.staff_id!r})"


class Channel(Protocol):
    """One way to tell people."""

    @property
    def name(self) -> ChannelName:
        """Which channel this is."""
        ...

    async def send(self, address: Address, message: Message, message_id: str) -> Attempt:
        """Make one attempt and say how it ended, within the channel's own deadline.

        message_id: the same over all attempts of a delivery. Expected failures are answers, not exceptions; whatever
        is raised is a fault of ours.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
