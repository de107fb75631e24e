"""The toy job on Quix Streams: exactly once, state in RocksDB and its changelog topic, a commit every half second."""

from collections.abc import Iterator
from typing import Any

from quixstreams import Application
from quixstreams.state import State as Store

from tests.bench.peers.place import EntrantPlace, FirstEvent
from tests.bench.peers.toy import fold, read

COMMIT_SECONDS = 0.5


def main() -> None:
    """Run until killed."""
    place = EntrantPlace.from_environment()
    first_event = FirstEvent(place)
    app = Application(
        broker_address=place.kafka,
        consumer_group=place.group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_SECONDS,
        state_dir=place.state_directory,
        loglevel="WARNING",
    )

    def step(event: dict[str, Any], store: Store) -> Iterator[dict[str, Any]]:
        if not first_event.told:
            first_event.tell()
        household_id, amount_fen = read(event)
        state, alert = fold(household_id, store.get("counter"), amount_fen)
        store.set("counter", state)
        if alert is not None:
            yield alert

    events = app.dataframe(app.topic(place.events_topic, value_deserializer="json"))
    events.apply(step, stateful=True, expand=True).to_topic(app.topic(place.alerts_topic, value_serializer="json"))
    app.run()


if __name__ == "__main__":
    main()
