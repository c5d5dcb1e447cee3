"""How a thread looks at what only the event loop may touch: it asks the loop to look for it.

Nothing is locked and nothing is copied in the middle of a change. The wait is bounded, as the loop
may be blocked, and a loop that is gone is told apart from one that is busy.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


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
            RuntimeError: the event loop is gone.
            Exception: what the function raised.
        """
        if threading.get_ident() == self._thread:
            return function()  # it would wait for itself
        answer: Future[T] = Future()
        self._loop.call_soon_threadsafe(_answer, answer, function)
        try:
            return answer.result(timeout_s)
        finally:
            answer.cancel()  # nobody waits any more


def _answer(answer: Future[T], function: Callable[[], T]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        answer.set_result(function())
    except Exception as error:  # noqa: BLE001  # it is whoever asked that must hear of it
        answer.set_exception(error)
