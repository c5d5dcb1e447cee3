"""What a node has in hand: told to be in hand every third of ``ack_wait_s``, until it is done.

A node that dies or hangs says so no more, and what it had is given to another.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from nats.errors import Error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nats.aio.msg import Msg

    from runtime.engines.cluster.node import Node


class Hands:
    """The messages that one node has in hand.

    Args:
        node: this node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._messages: dict[str, Msg] = {}
        self._emptied = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Hands [{len(self._messages)} messages]>"

    @contextmanager
    def holding(self, message: Msg) -> Iterator[None]:
        """Keep a message from being given to others; one that is in no queue needs nothing."""
        if message.reply:
            self._messages[message.reply] = message
        try:
            yield
        finally:
            self._messages.pop(message.reply, None)
            if not self._messages:
                self._emptied.set()

    async def empty(self) -> None:
        """Wait until nothing is in hand."""
        while self._messages:
            self._emptied.clear()
            await self._emptied.wait()

    async def keep(self) -> None:
        """Say what is in hand, until it is cancelled."""
        while True:
            await asyncio.sleep(self._node.settings.ack_wait_s / 3)
            for message in tuple(self._messages.values()):
                with suppress(Error):  # it is away; what is not said to be in hand, another gets
                    await message.in_progress()


async def done(message: Msg) -> None:
    """Let nobody else get a message."""
    if message.reply:
        with suppress(Error):  # whoever gets it then finds in the journal that it is done
            await message.ack()


async def give_back(message: Msg, after_s: float = 0.0) -> None:
    """Let another node get a message, after some seconds or at once."""
    if message.reply:
        with suppress(Error):  # its time ends, too
            await message.nak(after_s)
