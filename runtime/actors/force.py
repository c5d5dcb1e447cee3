"""Ending tasks by force: cancel, cancel again, and at last give up.

A kill is a plain task cancellation, repeated a few times: an anyio scope cancels at every turn of
the loop, and a body that swallows every cancellation would spin it (98,000 turns in a second,
measured). A task that outlasts all attempts is *leaked*: its owner cuts it off and counts it.
"""

from __future__ import annotations

import asyncio
from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine

KILL_INTERVAL = 0.05  # seconds between two cancellations of a task that swallowed the first
KILL_ATTEMPTS = 20  # after so many, one second in all, the task is leaked


class Kill:
    """Cancels tasks until their owner releases it, or gives up after a second.

    Args:
        targets: returns the tasks that are still to be ended; asked before every attempt.
        leaked: called once, when the last attempt did not help either.
    """

    __slots__ = ("_attempts", "_leaked", "_targets", "_timer")

    def __init__(
        self, targets: Callable[[], Collection[asyncio.Task[Any]]], leaked: Callable[[], None]
    ) -> None:
        self._targets = targets
        self._leaked = leaked
        self._attempts = 0
        self._timer: asyncio.TimerHandle | None = None

    def attempt(self) -> None:
        """Cancel what is left now, and again a little later."""
        if self._attempts == KILL_ATTEMPTS:
            self._leaked()
            return
        self._attempts += 1
        for task in self._targets():
            task.cancel()
        self.wait()

    def wait(self) -> None:
        """Give the tasks a moment before the next attempt."""
        self._timer = asyncio.get_running_loop().call_later(KILL_INTERVAL, self.attempt)

    def release(self) -> None:
        """Attempt nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def has_begun(task: asyncio.Task[Any]) -> bool:
    """Whether a task has taken a step; cancelled before, it would end and have told nobody."""
    work = cast("Coroutine[Any, Any, None]", task.get_coro())
    return getcoroutinestate(work) != CORO_CREATED


def current_task() -> asyncio.Task[Any]:
    """Return the task that runs.

    Raises:
        RuntimeError: none does.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("no task is running")
    return task
