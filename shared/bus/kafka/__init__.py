"""The log on Apache Kafka, through aiokafka. The only package that knows aiokafka.

Settings that are not the library's defaults, because those lose records: acks=all with idempotence; no automatic
commits; no silent jump when a position has left the log.
"""

from shared.bus.kafka.consumer import KafkaConsumer, kafka_consumer
from shared.bus.kafka.partitions import partition_of
from shared.bus.kafka.publisher import KafkaPublisher
from shared.bus.kafka.reader import kafka_reader
from shared.bus.kafka.topics import ensure_topics

__all__ = ["KafkaConsumer", "KafkaPublisher", "ensure_topics", "kafka_consumer", "kafka_reader", "partition_of"]
