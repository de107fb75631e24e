"""What an entrant is told, by environment variables. Only the standard library, as in toy.py."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EntrantPlace:
    """Where one run of one entrant works; nothing of it existed before.

    group: name of the consumer group, application or whatever the entrant calls it. database_url: a database with the
    project's tables and `peer_counter`. first_event: file that the entrant makes when it holds its first event.
    """

    kafka: str
    events_topic: str
    alerts_topic: str
    group: str
    database_url: str
    state_directory: Path
    first_event: Path

    @classmethod
    def from_environment(cls) -> "EntrantPlace":
        """Read it. Raises KeyError for what is missing."""
        given = os.environ
        return cls(
            given["PEERS_KAFKA"],
            given["PEERS_EVENTS_TOPIC"],
            given["PEERS_ALERTS_TOPIC"],
            given["PEERS_GROUP"],
            given["PEERS_DATABASE_URL"],
            Path(given["PEERS_STATE_DIRECTORY"]),
            Path(given["PEERS_FIRST_EVENT"]),
        )

    @property
    def environment(self) -> dict[str, str]:
        """The same as environment variables."""
        return {
            "PEERS_KAFKA": self.kafka,
            "PEERS_EVENTS_TOPIC": self.events_topic,
            "PEERS_ALERTS_TOPIC": self.alerts_topic,
            "PEERS_GROUP": self.group,
            "PEERS_DATABASE_URL": self.database_url,
            "PEERS_STATE_DIRECTORY": str(self.state_directory),
            "PEERS_FIRST_EVENT": str(self.first_event),
        }


class FirstEvent:
    """Tells the benchmark that the first event is in the entrant's hands: its clock starts there."""

    def __init__(self, place: EntrantPlace) -> None:
        self._file = place.first_event
        self.told = False

    def tell(self) -> None:
        """Call it with every event or batch: `if not first_event.told: first_event.tell()`."""
        self.told = True
        self._file.touch()
