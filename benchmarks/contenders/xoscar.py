"""xoscar: an actor pool in this process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import xoscar

from benchmarks.contenders.driving import Gate, gathered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work

GATE = Gate()


class Echo(xoscar.Actor):
    """Answers what it was asked."""

    async def echo(self, message: Any) -> Any:
        """Return the message."""
        return message

    async def count(self, message: Any) -> None:
        """Count it."""
        del message
        GATE.come()


@asynccontextmanager
async def messages(kind: str) -> AsyncIterator[Work]:
    """Asks and tells to an actor of the pool in this process."""
    pool = await xoscar.create_actor_pool("127.0.0.1", n_process=0)
    ref = await xoscar.create_actor(Echo, address=pool.external_address)

    async def ask(operations: int, at_once: int) -> dict[str, Any]:
        await gathered(ref.echo, operations, at_once)
        return {}

    async def tell(operations: int, at_once: int) -> dict[str, Any]:
        for first in range(0, operations, at_once):
            last = min(first + at_once, operations)
            opened = GATE.expect(last - first)
            for number in range(first, last):
                await ref.count.tell(number)
            await opened
        return {}

    yield {"ask": ask, "tell": tell}[kind]
    await pool.stop()
