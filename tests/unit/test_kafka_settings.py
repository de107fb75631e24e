"""The settings without which records get lost; aiokafka's defaults are others."""

from shared.bus.kafka.consumer import CONSUMER_SETTINGS
from shared.bus.kafka.publisher import PRODUCER_SETTINGS


def test_a_record_counts_as_taken_only_when_all_in_sync_replicas_have_it() -> None:
    assert PRODUCER_SETTINGS["acks"] == "all"
    assert PRODUCER_SETTINGS["enable_idempotence"] is True


def test_positions_are_never_moved_by_the_library() -> None:
    assert CONSUMER_SETTINGS["enable_auto_commit"] is False
    assert CONSUMER_SETTINGS["auto_offset_reset"] == "none"


def test_a_joining_consumer_waits_longer_than_a_rebalance_can_take() -> None:
    session = CONSUMER_SETTINGS["session_timeout_ms"]
    assert CONSUMER_SETTINGS["request_timeout_ms"] > 2 * session
    assert CONSUMER_SETTINGS["heartbeat_interval_ms"] * 3 <= session
