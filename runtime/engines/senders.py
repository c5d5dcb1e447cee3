"""Who waits until there is room for one more Delegation. Nobody overtakes whoever came before."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Senders:
    """Counts what is under way, and lets senders wait while that is too much.

    Args:
        most: how much may be under way.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._line: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<Senders [{self._count}/{self._most} under way, {len(self._line)} wait]>"

    def entered(self) -> None:
        """Count one more."""
        self._count += 1

    def left(self) -> None:
        """Count one out."""
        self._count -= 1
        self._call()

    def room(self) -> Coroutine[Any, Any, None] | None:
        """Return None when there is room for one more, else a wait for that."""
        return self._wait() if self._line or self._count >= self._most else None

    async def _wait(self) -> None:
        first = False
        while self._count >= self._most or (self._line and not first):
            sender: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (self._line.appendleft if first else self._line.append)(sender)
            first = True
            try:
                await sender
            except BaseException:
                self._call()  # a call that this one got goes to the next
                raise

    def _call(self) -> None:
        while self._line and self._count < self._most:
            sender = self._line.popleft()
            if not sender.done():
                sender.set_result(None)
                return
