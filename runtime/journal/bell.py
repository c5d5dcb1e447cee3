"""How a thread wakes those who wait on the event loop: once a group, not once a waiter.

Who waits for a number is woken once, when it is reached. Hundreds may wait for one commit or the
next; if all of them looked after each, that would cost more than the commits.
"""

from __future__ import annotations

import asyncio  # noqa: TID251  # `call_soon_threadsafe`: anyio's own way in makes the thread wait
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable


class Bell:
    """Lets tasks of one event loop wait for something that another thread does.

    Args:
        reached: returns the number that the thread has reached.
        is_over: whether it reaches nothing more.
    """

    def __init__(self, reached: Callable[[], int], is_over: Callable[[], bool]) -> None:
        """Belong to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._rung = anyio.Event()
        self._waiting = 0
        self._reached = reached
        self._is_over = is_over
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def until(self, reached: Callable[[], bool]) -> None:
        """Return when the condition holds; it is looked at after every ring."""
        # The order matters: a thread that finds nobody waiting has changed the condition before
        # it is looked at here.
        self._waiting += 1
        try:
            while not reached():
                await self._rung.wait()
        finally:
            self._waiting -= 1

    async def at(self, number: int, within_s: float) -> None:
        """Return when a number is reached, or it is time to ask why it is not.

        Args:
            number: not less than that of anybody who waits already.
            within_s: after how many seconds it is time for that; it may be earlier.
        """
        self._waiting += 1  # first, as above
        try:
            if self._reached() >= number or self._is_over():
                return
            turn = self._loop.create_future()
            self._line.append((number, turn))
            if self._timer is None:
                self._timer = self._loop.call_later(within_s, self._let_go)
            await turn
        finally:
            self._waiting -= 1

    def ring(self) -> None:
        """Wake all who wait, from any thread; costs nothing when nobody does."""
        if self._waiting:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._rung.set()
        self._rung = anyio.Event()
        reached, line = self._reached(), self._line
        while line and line[0][0] <= reached:
            _end(line.popleft()[1])
        if not line or self._is_over():
            self._let_go()

    def _let_go(self) -> None:
        """Let all who wait for a number look for themselves."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        line, self._line = self._line, deque()
        for _, turn in line:
            _end(turn)


def _end(turn: asyncio.Future[None]) -> None:
    if not turn.done():  # whoever waited was cancelled
        turn.set_result(None)
