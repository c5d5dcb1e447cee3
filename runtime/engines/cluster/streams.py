"""The stream in which work waits, and its consumers: made by whichever node comes first.

A work queue: a message is there until it is acknowledged, each consumer has one subject, and all
nodes share it. It is bounded in bytes and in age; what does not fit is refused to its sender, who
tries again until its deadline. A message that a node gives no sign of life for is given to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from runtime.engines.cluster.node import Node

MOST_REPLICAS = 3
LONGEST_S = 7 * 24 * 3_600.0  # no run has a week
DUPLICATES_S = 120.0
MOST_IN_HAND = 100_000  # of one agent, over all nodes
MESSAGE_ID = "Nats-Msg-Id"  # by which the server knows what it was sent before
_NO_ROOM = frozenset((10023, 10047))


async def ensure_stream(node: Node) -> None:
    """Make the stream unless it is there; one with other limits stays as its operator wants it.

    Raises:
        nats.errors.Error: it cannot be made now.
    """
    subjects = node.subjects
    config = StreamConfig(
        name=subjects.stream,
        subjects=[*subjects.queued],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_bytes=node.settings.queue_bytes,
        max_age=LONGEST_S,
        duplicate_window=DUPLICATES_S,
        num_replicas=replicas(node),
    )
    try:
        await node.jetstream.add_stream(config)
    except APIError:
        # Servers also say that there is no room for one that is there.
        if not await _is_there(node):
            raise


async def _is_there(node: Node) -> bool:
    try:
        await node.jetstream.stream_info(node.subjects.stream)
    except NotFoundError:
        return False
    return True


async def found_stream(node: Node) -> None:
    """Make the stream where a process joins the cluster, unless it is there.

    Raises:
        ConfigurationError: the servers do not take it; the error says what to do.
        nats.errors.Error: it cannot be made now.
    """
    try:
        await ensure_stream(node)
    except APIError as error:
        size, why = node.settings.queue_bytes >> 20, error.description
        hint = "; give its JetStream more storage (max_file_store), or free some"
        raise ConfigurationError(
            f"{node.settings} does not take {size} MiB of work that waits: {why}"
            f"{hint if error.err_code in _NO_ROOM else ''}"
        ) from error


async def ensure_consumer(node: Node, name: str, subject: str) -> None:
    """Make the consumer of a subject unless it is there.

    Args:
        node: who asks.
        name: the consumer's.
        subject: what it has.

    Raises:
        nats.errors.Error: it cannot be made now.
    """
    config = ConsumerConfig(
        durable_name=name,
        filter_subject=subject,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=node.settings.ack_wait_s,
        max_deliver=-1,  # the deadline in each message is the bound
        max_ack_pending=MOST_IN_HAND,
        max_waiting=8_192,
    )
    await node.jetstream.add_consumer(node.subjects.stream, config)


def replicas(node: Node) -> int:
    """Return on how many servers to keep what is kept, by how many this node was told of."""
    return max(1, min(MOST_REPLICAS, len(node.client.servers)))
