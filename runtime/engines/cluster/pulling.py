"""Pulling: a node asks for as many messages as it has room for, and is given each as it comes.

The client library's own ``fetch`` keeps the first message back until it has all of them or the
time is over; what is asked for here comes at once.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from functools import partial
from typing import TYPE_CHECKING

import anyio
import orjson
from nats.errors import Error

from runtime.engines.cluster.hands import give_back
from runtime.engines.cluster.node import ended
from runtime.engines.cluster.streams import ensure_consumer, ensure_stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nats.aio.msg import Msg

    from runtime.engines.cluster.node import Node

EXPIRES_S = 10.0  # then a request that was not filled is made anew
PATIENCE_S = 2.0  # beyond that: the server's word that it is over was lost
AGAIN_S = 0.5  # before a consumer is made again that cannot be made now
_NANO = 1_000_000_000
_STATUS = "Status"
logger = logging.getLogger("runtime.cluster")


class Puller:
    """Pulls the messages of one consumer.

    Args:
        node: who pulls.
        consumer: the consumer's name.
        subject: what it has.
        room: waits until there is room, and returns for how many messages.
        admits: whether there is any still for a message; else it goes back, for other nodes.
        take: called with each message; waits for nothing.
    """

    def __init__(
        self,
        node: Node,
        consumer: str,
        subject: str,
        *,
        room: Callable[[], Awaitable[int]],
        admits: Callable[[], bool],
        take: Callable[[Msg], None],
    ) -> None:
        self._node = node
        self._ensure = partial(ensure_consumer, node, consumer, subject)
        stream = node.subjects.stream
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = f"_INBOX.{secrets.token_hex(11)}"
        self._room = room
        self._admits = admits
        self._take = take
        self._missing = 0
        self._in_doubt = False  # whether the servers still have the consumer
        self._over = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Puller of {self._next} [{self._missing} asked for]>"

    async def open(self) -> None:
        """Make the consumer, and pull from now on, until the node leaves.

        Raises:
            nats.errors.Error: it cannot be made now.
        """
        await self._ensure()
        self._node.start(self._run(), f"pulls from {self._next}")

    async def _run(self) -> None:
        node, stay = self._node, anyio.CancelScope()
        subscription = await node.client.subscribe(self._inbox, cb=self._came)
        node.back.append(self._forgotten)
        node.leaving.append(stay.cancel)
        try:
            with stay:
                await self._pull_on()
        finally:
            node.back.remove(self._forgotten)
            node.leaving.remove(stay.cancel)
            await ended(subscription)

    async def _pull_on(self) -> None:
        while True:
            count = await self._room()
            if self._in_doubt:
                await self._mend()
            await self._pull(count)

    async def _pull(self, count: int) -> None:
        self._missing = count
        self._over.clear()
        wish = {"batch": count, "expires": int(EXPIRES_S * _NANO)}
        try:
            await self._node.client.publish(self._next, orjson.dumps(wish), self._inbox)
            async with asyncio.timeout(EXPIRES_S + PATIENCE_S):
                await self._over.wait()
        except (Error, TimeoutError):  # servers say nothing of a consumer that they do not have
            self._in_doubt = True

    def _forgotten(self) -> None:
        """The servers were away, and have forgotten what was asked for, or more."""
        self._in_doubt = True
        self._over.set()

    async def _mend(self) -> None:
        """Make what the servers may have lost, all of it."""
        try:
            await ensure_stream(self._node)
            await self._ensure()
            self._in_doubt = False
        except (Error, TimeoutError) as error:
            logger.debug("%r cannot be made yet: %r", self, error)
            await asyncio.sleep(AGAIN_S)

    async def _accept(self, message: Msg) -> None:
        if self._admits():
            self._take(message)
        else:
            await give_back(message)

    async def _came(self, message: Msg) -> None:
        status = (message.headers or {}).get(_STATUS)
        if status is None:
            self._missing -= 1
            await self._accept(message)
        elif status != "100":  # no heart-beat: the request is over
            self._in_doubt = status not in ("404", "408")
            self._over.set()
        if self._missing <= 0:
            self._over.set()
