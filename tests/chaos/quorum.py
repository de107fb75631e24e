"""Which node is the active controller: aiokafka's admin client does not know the question (API 55, DescribeQuorum)."""

from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

METADATA_LOG = "__cluster_metadata"
_TAGS = ("tags", TaggedFields)
_REPLICAS = CompactArray(("replica_id", Int32), ("log_end_offset", Int64), _TAGS)


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 55
    API_VERSION = 0
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("high_watermark", Int64),
                        ("voters", _REPLICAS),
                        ("observers", _REPLICAS),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _Question(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 55
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")), ("partitions", CompactArray(("partition", Int32), _TAGS)), _TAGS
            ),
        ),
        _TAGS,
    )


class _DescribeQuorum(Request[_Question]):  # type: ignore[misc]
    API_KEY = 55

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class([(METADATA_LOG, [(0, {})], {})], {})


async def active_controller(admin: AIOKafkaAdminClient) -> int:
    """Node id of the active controller. Raises KafkaError while there is none."""
    answer = await admin._send_request(_DescribeQuorum())
    partition = answer.topics[0][1][0] if answer.topics else None
    leader = -1 if answer.error_code or partition is None or partition[1] else int(partition[2])
    if leader < 0:
        raise KafkaError(f"the cluster has no controller now: {answer}")
    return leader
