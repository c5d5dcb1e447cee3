"""A node's entry in the bucket of nodes: what it says of itself, again and again.

A node that finds no bucket makes it, whoever comes first; where the servers have lost it, it is
made anew.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
from nats.errors import Error
from nats.js.api import KeyValueConfig, StorageType
from nats.js.errors import BadRequestError, NotFoundError

from runtime.engines.cluster.members import KEPT_S, REFRESH_S, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.engines.cluster.members import Member
    from runtime.engines.cluster.node import Node

ANSWER_S = 5.0
MOST_REPLICAS = 3
_IN_USE = 10058  # the bucket is there, with another configuration
logger = logging.getLogger("runtime.cluster")


class Entry:
    """One node's entry in the bucket, kept up to date.

    Args:
        node: the node.
        tell: says what it is doing now.
    """

    def __init__(self, node: Node, tell: Callable[[], Member]) -> None:
        self._client = node.client
        self._jetstream = node.client.jetstream(timeout=ANSWER_S)
        self._bucket = node.subjects.nodes
        self._tell = tell
        self._is_ended = False

    async def keep(self) -> None:
        """Write the entry again and again, until it is cancelled or ended."""
        while not self._is_ended:
            await self.refresh()
            await anyio.sleep(REFRESH_S)

    async def refresh(self) -> None:
        """Write the entry now. Where that fails, it is old for the others, which is what it is."""
        member = self._tell()
        try:
            await self._put(member)
        except NotFoundError:
            await self._make()
        except (Error, TimeoutError) as error:
            logger.debug("the entry of %s is not refreshed: %r", member.id, error)

    async def _put(self, member: Member) -> None:
        bucket = await self._jetstream.key_value(self._bucket)
        await bucket.put(member.id, encode(member))

    async def _make(self) -> None:
        """Make the bucket, and write the entry into it."""
        config = KeyValueConfig(
            bucket=self._bucket,
            ttl=KEPT_S,
            storage=StorageType.MEMORY,
            replicas=min(MOST_REPLICAS, max(1, len(self._client.servers))),
        )
        try:
            await self._jetstream.create_key_value(config)
            await self._put(self._tell())
        except BadRequestError as error:
            if error.err_code != _IN_USE:
                logger.warning("the bucket of nodes cannot be made", extra={"error": str(error)})
        except (Error, TimeoutError) as error:
            logger.debug("the bucket of nodes cannot be made yet: %r", error)

    async def end(self) -> None:
        """Take the entry out: the node leaves in order."""
        self._is_ended = True
        member = self._tell()
        try:
            bucket = await self._jetstream.key_value(self._bucket)
            await bucket.delete(member.id)
        except (Error, TimeoutError) as error:
            logger.debug("the entry of %s stays for a while: %r", member.id, error)
