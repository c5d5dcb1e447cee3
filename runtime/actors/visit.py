"""How a thread looks at what only the event loop may touch: it asks the loop to look for it.

Nothing is locked and nothing is copied in the middle of a change. The wait is bounded, as the loop
may be blocked, and a loop that is gone is told apart from one that is busy.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

from runtime.actors.errors import ActorError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class LoopGone(ActorError):
    """The event loop is closed, and all that was on it is gone."""


class Visits:
    """Calls functions on the event loop that it was made on, from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """Call a function on the event loop and return what it returns.

        Args:
            function: it must not block.
            timeout_s: the most seconds to wait for the event loop to get to it.

        Raises:
            TimeoutError: the event loop was busy for so long.
            LoopGone: the event loop is closed.
            Exception: what the function raised.
        """
        if threading.get_ident() == self._thread:
            return function()  # it would wait for itself
        visit = _in_a_task(function)
        try:
            answer = asyncio.run_coroutine_threadsafe(visit, self._loop)
        except RuntimeError as error:
            visit.close()
            raise LoopGone(str(error)) from error
        try:
            return answer.result(timeout_s)
        finally:
            answer.cancel()  # nobody waits any more


async def _in_a_task(function: Callable[[], T]) -> T:
    """Call it where anyio knows which event loop it is on, which it does not in a callback."""
    return function()
