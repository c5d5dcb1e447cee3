"""Who waits until there is room for one more Delegation. Nobody overtakes whoever came before."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Line:
    """Senders that wait for room, first come, first served.

    Args:
        full: whether there is no room for one more.
        may_call: whether there is enough room to call the next.
    """

    def __init__(self, full: Callable[[], bool], may_call: Callable[[], bool]) -> None:
        self._full = full
        self._may_call = may_call
        self._senders: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._senders)

    def room(self) -> Coroutine[Any, Any, None] | None:
        """Return None when there is room for one more, else a wait for that.

        When the wait is over, nothing else runs before whoever has waited.
        """
        return self._wait() if self._senders or self._full() else None

    async def _wait(self) -> None:
        first = False
        while self._full() or (self._senders and not first):
            sender: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (self._senders.appendleft if first else self._senders.append)(sender)
            first = True
            try:
                await sender
            except BaseException:
                self.call()  # a call that this one got goes to the next
                raise
        # It need not take the room that it was called for: then the next one has it.
        asyncio.get_running_loop().call_soon(self.call)

    def call(self) -> None:
        """Let the next sender know that there is room, if there is."""
        while self._senders and self._may_call():
            sender = self._senders.popleft()
            if not sender.done():
                sender.set_result(None)
                return


class Senders:
    """Counts what is under way, and lets senders wait while that is too much.

    Args:
        most: how much may be under way.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._line = Line(lambda: not self._has_room(), self._has_room)
        self.room = self._line.room

    def __repr__(self) -> str:
        return f"<Senders [{self._count}/{self._most} under way, {len(self._line)} wait]>"

    def entered(self) -> None:
        """Count one more."""
        self._count += 1

    def left(self) -> None:
        """Count one out."""
        self._count -= 1
        self._line.call()

    def _has_room(self) -> bool:
        return self._count < self._most
