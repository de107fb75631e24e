"""The shape of a Kafka cluster on this machine: for each node, its addresses and what follows for its settings.

Every node is broker and controller. What clients and other nodes are told to connect to need not be where a node
listens: fault tests put proxies between.
"""

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.local.ports import LOOPBACK

CONTROLLER = "CONTROLLER"
# With three copies of everything, one node may be lost without losing a record or the right to write.
COPIES, COPIES_BEFORE_ACKNOWLEDGED = 3, 2

SETTINGS = {
    "default.replication.factor": str(COPIES),
    "min.insync.replicas": str(COPIES_BEFORE_ACKNOWLEDGED),
    "offsets.topic.replication.factor": str(COPIES),
    "transaction.state.log.replication.factor": str(COPIES),
    "transaction.state.log.min.isr": str(COPIES_BEFORE_ACKNOWLEDGED),
    "share.coordinator.state.topic.replication.factor": str(COPIES),
    "share.coordinator.state.topic.min.isr": str(COPIES_BEFORE_ACKNOWLEDGED),
    "unclean.leader.election.enable": "false",
    # Each listener has threads of its own.
    "num.network.threads": "1",
    # A node that is frozen or cut off is given up within seconds, not within half a minute.
    "replica.lag.time.max.ms": "4000",
    "replica.socket.timeout.ms": "4000",
    "controller.socket.timeout.ms": "4000",
    "socket.connection.setup.timeout.ms": "3000",
}


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a node listens for one kind of client, and the port that it tells them to come to."""

    name: str
    port: int
    advertised: int


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """One node of a cluster.

    clients: listeners for clients, the first for those of this machine. brokers: the listener for other nodes.
    voters: every node's id, with the port at which others reach its controller.
    """

    node_id: int
    cluster_id: str
    clients: Sequence[Listener]
    brokers: Listener
    controller_port: int
    voters: Mapping[int, int]

    def settings(self) -> dict[str, str]:
        """What differs from a node that is alone."""
        listeners = [*self.clients, self.brokers]
        protocols = [f"{name}:PLAINTEXT" for name in (*(listener.name for listener in listeners), CONTROLLER)]
        own = [f"{listener.name}://{LOOPBACK}:{listener.port}" for listener in listeners]
        told = [f"{listener.name}://{LOOPBACK}:{listener.advertised}" for listener in listeners]
        voters = [f"{node_id}@{LOOPBACK}:{port}" for node_id, port in self.voters.items()]
        return {
            **SETTINGS,
            "node.id": str(self.node_id),
            "listeners": ",".join([*own, f"{CONTROLLER}://{LOOPBACK}:{self.controller_port}"]),
            "advertised.listeners": ",".join(told),
            "listener.security.protocol.map": ",".join(protocols),
            "inter.broker.listener.name": self.brokers.name,
            "controller.quorum.voters": ",".join(voters),
        }


def new_cluster_id() -> str:
    """Make the id that all nodes of one cluster are formatted with."""
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    # The tool's options are parsed by a library that takes a leading dash for another option.
    return cluster_id.replace("-", "A", 1) if cluster_id.startswith("-") else cluster_id
