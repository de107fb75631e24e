"""The toy job on Faust (the maintained fork): state in RocksDB and its changelog topic, a commit every half second.

At least once: its transactions are experimental (docs of the setting `processing_guarantee`), so they are left off.
"""

import sys
from typing import Any

import faust

from tests.bench.peers.place import EntrantPlace, FirstEvent
from tests.bench.peers.toy import fold, read

COMMIT_SECONDS = 0.5


def application(place: EntrantPlace, partitions: int) -> faust.App:
    """The job as a Faust application."""
    app = faust.App(
        place.group,
        broker=f"kafka://{place.kafka}",
        store="rocksdb://?driver=rocksdict",
        datadir=str(place.state_directory),
        topic_partitions=partitions,
        broker_commit_interval=COMMIT_SECONDS,
        web_enabled=False,
    )
    counters = app.Table("counters", partitions=partitions)
    alerts = app.topic(place.alerts_topic, value_serializer="json")
    first_event = FirstEvent(place)

    @app.agent(app.topic(place.events_topic, key_type=str, key_serializer="raw", value_serializer="json"))
    async def fold_events(events: faust.Stream[dict[str, Any]]) -> None:
        async for event in events:
            if not first_event.told:
                first_event.tell()
            household_id, amount_fen = read(event)
            counters[household_id], alert = fold(household_id, counters.get(household_id), amount_fen)
            if alert is not None:
                await alerts.send(key=household_id, value=alert)

    return app


if __name__ == "__main__":
    given = EntrantPlace.from_environment()
    sys.argv[1:] = ["--loop", "uvloop", "worker", "--loglevel", "warn", "--without-web"]
    application(given, partitions=12).main()
