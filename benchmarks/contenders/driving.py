"""How contenders are driven: all in the same way, with as little as possible."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


async def in_batches(ask: Callable[[int], Awaitable[Any]], operations: int, at_once: int) -> None:
    """Ask so many at once, wait for all, and again. For what returns futures: no task is needed."""
    for first in range(0, operations, at_once):
        for reply in [ask(n) for n in range(first, min(first + at_once, operations))]:
            await reply


async def gathered(call: Callable[[int], Awaitable[Any]], operations: int, at_once: int) -> None:
    """The same for coroutines, each of which needs a task to be under way."""
    for first in range(0, operations, at_once):
        last = min(first + at_once, operations)
        if last - first == 1:
            await call(first)
        else:
            await asyncio.gather(*(call(n) for n in range(first, last)))


async def in_turns(
    call: Callable[[int], Awaitable[Any]], operations: int, at_once: int
) -> dict[str, list[float]]:
    """Let so many tasks call one after the other until all is done; return the latencies."""
    numbers = iter(range(operations))
    latencies: list[float] = []
    now = time.perf_counter

    async def work() -> None:
        for number in numbers:
            began = now()
            await call(number)
            latencies.append(now() - began)

    await asyncio.gather(*(work() for _ in range(min(at_once, operations))))
    return {"latencies": latencies}


def in_parts(operations: int, each: int | None) -> Iterator[int]:
    """Yield how many operations each part has: so many at most, or all; none for no operations."""
    for first in range(0, operations, each or max(1, operations)):
        yield min(each or operations, operations - first)


class Gate:
    """Opens when so many messages have come: how a bench of tells knows that it is done."""

    __slots__ = ("_left", "_opened")

    def __init__(self) -> None:
        self._left = 0
        self._opened: asyncio.Future[None] | None = None

    def expect(self, messages: int) -> asyncio.Future[None]:
        """Return a future of so many messages."""
        self._left = messages
        self._opened = asyncio.get_running_loop().create_future()
        return self._opened

    def come(self) -> None:
        """Count a message."""
        self._left -= 1
        if not self._left and self._opened is not None:
            self._opened.set_result(None)


async def told(tell: Callable[[int], Any], gate: Gate, operations: int, at_once: int) -> None:
    """Tell so many at once, wait until all have come, and again."""
    for first in range(0, operations, at_once):
        last = min(first + at_once, operations)
        opened = gate.expect(last - first)
        for number in range(first, last):
            tell(number)
        await opened
