"""The toy job on Bytewax: one worker, state and place in its recovery store (SQLite), alerts through its Kafka sink.

State exactly once (snapshot and place belong to one epoch), alerts at least once. An epoch lasts half a second.
"""

from datetime import timedelta

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from tests.bench.peers.place import EntrantPlace, FirstEvent
from tests.bench.peers.toy import State, decode, encode, fold

EPOCH = timedelta(seconds=0.5)
KeyedAmount = tuple[str, int]


def flow(place: EntrantPlace) -> Dataflow:
    """The job as a dataflow."""
    first_event = FirstEvent(place)

    def keyed(message: KafkaSourceMessage[bytes, bytes]) -> KeyedAmount:
        if not first_event.told:
            first_event.tell()
        return decode(message.value)

    def step(state: State | None, amount: KeyedAmount) -> tuple[State, list[KafkaSinkMessage[bytes, bytes]]]:
        household_id, amount_fen = amount
        state, alert = fold(household_id, state, amount_fen)
        return state, [] if alert is None else [KafkaSinkMessage(household_id.encode(), encode(alert))]

    made = Dataflow("peers")
    read = kop.input("read", made, brokers=[place.kafka], topics=[place.events_topic])
    op.raises("stop at errors", read.errs)
    amounts = op.map("decode", read.oks, keyed)
    alerts = op.stateful_flat_map("fold", op.map("key", amounts, lambda one: (one[0], one)), step)
    kop.output("tell", op.key_rm("unkey", alerts), brokers=[place.kafka], topic=place.alerts_topic)
    return made


def main() -> None:
    """Run until killed."""
    place = EntrantPlace.from_environment()
    init_db_dir(place.state_directory, 1)
    cli_main(flow(place), epoch_interval=EPOCH, recovery_config=RecoveryConfig(place.state_directory))


if __name__ == "__main__":
    main()
