"""Where a key belongs on a topic."""

import pytest
from aiokafka.partitioner import DefaultPartitioner

from shared.bus.kafka import partition_of


@pytest.mark.parametrize("partitions", [1, 3, 12])
def test_a_key_belongs_where_the_producer_puts_it(partitions: int) -> None:
    choose = DefaultPartitioner()
    for number in range(200):
        key = f"H-{number}".encode()
        assert partition_of(key, partitions) == choose(key, list(range(partitions)), [])


def test_it_is_where_kafkas_own_tools_put_it() -> None:
    # Hashes that Kafka's Java client is tested with.
    for key, hashed in ((b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)):
        assert partition_of(key, 12) == (hashed & 0x7FFFFFFF) % 12
