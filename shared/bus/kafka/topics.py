"""Creates the topics that are missing."""

from collections.abc import Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.errors import TemporaryFailure
from shared.topics import Topic


async def ensure_topics(bootstrap_servers: str, topics: Sequence[Topic], *, topic_prefix: str = "") -> list[str]:
    """Create the topics that are missing, with three replicas where there are three brokers; return their names.

    Raises TemporaryFailure when the log cannot be reached, ValueError when a topic has other partitions than ours.
    """
    topics = [topic.prefixed(topic_prefix) for topic in topics]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, client_id="shouwang-topics")
    try:
        await admin.start()
        brokers = len((await admin.describe_cluster())["brokers"])
        existing = {found["topic"]: len(found["partitions"]) for found in await admin.describe_topics()}
        _refuse_other_partitions(existing, topics)
        missing = [topic for topic in topics if topic.name not in existing]
        replication = 3 if brokers >= 3 else 1
        answer = await admin.create_topics(
            [NewTopic(t.name, t.partitions, replication, topic_configs=t.config(replication)) for t in missing]
        )
        for name, code, *_ in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise TemporaryFailure(f"topic {name} was not created: {error.__name__}")
    except (KafkaError, OSError) as error:
        raise TemporaryFailure(f"the log cannot be reached: {type(error).__name__}") from error
    finally:
        await admin.close()
    return [topic.name for topic in missing]


def _refuse_other_partitions(existing: Mapping[str, int], topics: Sequence[Topic]) -> None:
    for topic in topics:
        present = existing.get(topic.name, topic.partitions)
        if present != topic.partitions:
            raise ValueError(f"{topic.name} has {present} partitions, expected {topic.partitions}; make a new topic")
