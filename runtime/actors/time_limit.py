"""A time limit on some work of the current task: one timer, and one cancellation when it rings.

It does what ``anyio.CancelScope(deadline=...)`` does for the common case at a third of its price:
it cancels once, not at every turn of the loop, and nobody else can cancel it. What must not be
broken off does not belong into it: no shield of anyio's within holds it off.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from runtime.actors.force import current_task

if TYPE_CHECKING:
    from types import TracebackType


class TimeLimit:
    """``with`` around work that ends at an instant; the block is left there, without an error.

    Args:
        at: the instant, in seconds of the event loop's clock.
    """

    __slots__ = ("_at", "_cancelling", "_has_rung", "_task", "_timer")
    _task: asyncio.Task[Any]
    _timer: asyncio.TimerHandle

    def __init__(self, at: float) -> None:
        self._at = at
        self._has_rung = False
        self._cancelling = 0

    def __enter__(self) -> Self:
        self._task = current_task()
        self._cancelling = self._task.cancelling()
        self._timer = asyncio.get_running_loop().call_at(self._at, self._ring)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._timer.cancel()
        if not self._has_rung:
            return False
        is_ours_alone = self._task.uncancel() <= self._cancelling
        return is_ours_alone and kind is asyncio.CancelledError

    def _ring(self) -> None:
        self._has_rung = True
        self._task.cancel()
