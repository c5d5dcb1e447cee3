"""How a thread wakes those who wait on the event loop: once a group, not once a waiter."""

from __future__ import annotations

import asyncio  # noqa: TID251  # `call_soon_threadsafe`: anyio's own way in makes the thread wait
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable


class Bell:
    """Lets tasks of one event loop wait for something that another thread does."""

    def __init__(self) -> None:
        """Belong to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._rung = anyio.Event()
        self._waiting = 0

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

    def ring(self) -> None:
        """Wake all who wait, from any thread; costs nothing when nobody does."""
        if self._waiting:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._rung.set()
        self._rung = anyio.Event()
