"""On which partition a key belongs: the rule by which our own producer, and Kafka's, choose one."""

from aiokafka.partitioner import murmur2

_POSITIVE = 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a topic with so many partitions on which records with this key stand."""
    return int(murmur2(key) & _POSITIVE) % partitions
