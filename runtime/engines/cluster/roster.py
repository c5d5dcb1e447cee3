"""The nodes of a cluster as somebody sees them who is none: from the bucket of their entries.

The age of an entry is told by the servers' clock alone: by when they have stored it, and by when
they have made the consumer that reads it.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
from nats.errors import Error, NoRespondersError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from runtime.engines.cluster.connection import connect, ignore
from runtime.engines.cluster.members import Sighted, decode
from runtime.engines.cluster.subjects import Subjects
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js.client import JetStreamContext

    from runtime.engines.cluster.settings import ClusterSettings

ANSWER_S = 5.0
_DELETED = "KV-Operation"
logger = logging.getLogger("runtime.cluster")


@asynccontextmanager
async def roster(
    settings: ClusterSettings, changed: Callable[[bool], None] = ignore
) -> AsyncIterator[Roster]:
    """Look at a cluster.

    Args:
        settings: the cluster.
        changed: called with whether its servers are there, whenever that changes.

    Raises:
        ConfigurationError: no server is there, it refuses, or it has no JetStream.
    """
    client = await connect(settings, label="nodes", changed=changed)
    try:
        yield Roster(client, settings)
    finally:
        await client.close()


class Roster:
    """The nodes of a cluster, for whoever asks; made by ``roster``.

    Args:
        client: the connection.
        settings: the cluster.
    """

    def __init__(self, client: Client, settings: ClusterSettings) -> None:
        self._client = client
        self._settings = settings
        self._subjects = Subjects(settings.name)

    async def nodes(self) -> list[Sighted]:
        """Return who is there, by their names.

        Raises:
            ConfigurationError: the servers do not answer.
        """
        try:
            return await self._nodes(self._client.jetstream(timeout=ANSWER_S))
        except (Error, TimeoutError) as error:
            raise ConfigurationError(f"{self._settings} does not answer: {error!r}") from error

    async def _nodes(self, jetstream: JetStreamContext) -> list[Sighted]:
        newest = ConsumerConfig(
            deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, ack_policy=AckPolicy.NONE
        )
        bucket = self._subjects.nodes
        try:
            entries = await jetstream.subscribe(
                f"$KV.{bucket}.>", stream=f"KV_{bucket}", config=newest
            )
        except NotFoundError:
            return []  # there has been no node yet
        try:
            info: Any = await entries.consumer_info()
            found: dict[str, Sighted] = {}
            left = (info.num_pending or 0) + (info.delivered.consumer_seq if info.delivered else 0)
            while left > 0:
                message = await entries.next_msg(timeout=ANSWER_S)
                _note(found, message, info.created.timestamp())
                left = message.metadata.num_pending
        finally:
            await entries.unsubscribe()
        return [found[name] for name in sorted(found)]

    async def drain(self, node: str) -> str | None:
        """Ask a node to leave.

        Args:
            node: its name.

        Returns:
            What it says about that; None where it does not answer.

        Raises:
            ConfigurationError: the servers do not answer.
        """
        try:
            answer = await self._client.request(self._subjects.drain(node), timeout=ANSWER_S)
        except (NoRespondersError, TimeoutError):
            return None
        except Error as error:
            raise ConfigurationError(f"{self._settings} does not answer: {error!r}") from error
        return str(orjson.loads(answer.data))


def _note(found: dict[str, Sighted], message: Msg, now: float) -> None:
    if _DELETED in (message.headers or {}):
        return
    try:
        member = decode(message.data)
    except ValueError as error:
        logger.warning("left out: %s", error)
        return
    found[member.id] = Sighted(member, max(0.0, now - message.metadata.timestamp.timestamp()))
