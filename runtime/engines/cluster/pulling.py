"""Pulling: a node asks for as many messages as it has room for, and is given each as it comes.

The client library's own ``fetch`` keeps the first message back until it has all of them or the
time is over; what is asked for here comes at once.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import orjson
from nats.errors import Error

from runtime.engines.cluster.node import ended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nats.aio.msg import Msg

    from runtime.engines.cluster.node import Node

EXPIRES_S = 10.0  # then a request that was not filled is made anew
PATIENCE_S = 2.0  # beyond that: the server's word that it is over was lost
AGAIN_S = 0.5  # after a request that was refused: the consumer is being made, or moved
_NANO = 1_000_000_000
_STATUS = "Status"


class Puller:
    """Pulls the messages of one consumer.

    Args:
        node: who pulls.
        consumer: the consumer's name.
        room: waits until there is room, and returns for how many messages.
        take: called with each message; waits for nothing.
    """

    def __init__(
        self,
        node: Node,
        consumer: str,
        room: Callable[[], Awaitable[int]],
        take: Callable[[Msg], None],
    ) -> None:
        self._node = node
        stream = node.subjects.stream
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = f"_INBOX.{secrets.token_hex(11)}"
        self._room = room
        self._take = take
        self._missing = 0
        self._is_refused = False
        self._over = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Puller of {self._next} [{self._missing} asked for]>"

    async def run(self) -> None:
        """Pull until it is cancelled."""
        subscription = await self._node.client.subscribe(self._inbox, cb=self._came)
        self._node.back.append(self._over.set)  # the servers have forgotten what was asked for
        try:
            while True:
                await self._pull(await self._room())
        finally:
            self._node.back.remove(self._over.set)
            await ended(subscription)

    async def _pull(self, count: int) -> None:
        self._missing, self._is_refused = count, False
        self._over.clear()
        wish = {"batch": count, "expires": int(EXPIRES_S * _NANO)}
        try:
            await self._node.client.publish(self._next, orjson.dumps(wish), self._inbox)
            async with asyncio.timeout(EXPIRES_S + PATIENCE_S):
                await self._over.wait()
        except TimeoutError:
            return
        except Error:
            self._is_refused = True
        if self._is_refused:
            await asyncio.sleep(AGAIN_S)

    async def _came(self, message: Msg) -> None:
        status = (message.headers or {}).get(_STATUS)
        if status is None:
            self._missing -= 1
            self._take(message)
        elif status != "100":  # no heart-beat: the request is over
            self._is_refused = status not in ("404", "408")
            self._over.set()
        if self._missing <= 0:
            self._over.set()
