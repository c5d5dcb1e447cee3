"""pykka: an actor is a thread."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work


@asynccontextmanager
async def messages(kind: str) -> AsyncIterator[Work]:
    """Asks of a threading actor, or tells with an ask behind them that says that all have come."""
    import pykka  # noqa: PLC0415  # in its own environment

    class Echo(pykka.ThreadingActor):
        def on_receive(self, message: Any) -> Any:
            return message

    ref = Echo.start()

    async def ask(operations: int, at_once: int) -> dict[str, Any]:
        for first in range(0, operations, at_once):
            numbers = range(first, min(first + at_once, operations))
            for reply in [ref.ask(number, block=False) for number in numbers]:
                reply.get()
        return {}

    async def tell(operations: int, at_once: int) -> dict[str, Any]:
        for first in range(0, operations, at_once):
            for number in range(first, min(first + at_once, operations) - 1):
                ref.tell(number)
            ref.ask(0)
        return {}

    yield {"ask": ask, "tell": tell}[kind]
    ref.stop()


@asynccontextmanager
async def crowd() -> AsyncIterator[Work]:
    """Many idle actors."""
    import pykka  # noqa: PLC0415  # likewise

    from benchmarks.contenders.crowds import crowd_of  # noqa: PLC0415  # beside it

    class Echo(pykka.ThreadingActor):
        def on_receive(self, message: Any) -> Any:
            return message

    async def end(refs: list[Any]) -> None:
        for ref in refs:
            ref.stop(block=False)

    async def create() -> Any:
        return Echo.start()

    yield crowd_of(create, lambda: asyncio.sleep(0), end)
