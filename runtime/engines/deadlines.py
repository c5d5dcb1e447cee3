"""Ends pieces of work when their time is up.

Most Delegations of a run have to be done when the run has: they share one timer. A timer for each
would be the most expensive thing about a small piece of work.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from runtime.actors.callbacks import call_as_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.engines.work import Work


class _Due(NamedTuple):
    timer: asyncio.TimerHandle
    works: dict[Work, None]  # in the order in which they came, those further up first


class Deadlines:
    """The times at which pieces of work have to be done.

    Args:
        expire: ends one whose time is up.
    """

    def __init__(self, expire: Callable[[Work], None]) -> None:
        self._expire = expire
        self._due: dict[float, _Due] = {}

    def __len__(self) -> int:
        return len(self._due)

    def add(self, at: float, work: Work) -> None:
        """End a piece of work at a time of the event loop's clock, unless it is removed before."""
        due = self._due.get(at)
        if due is None:
            timer = asyncio.get_running_loop().call_at(at, self._ring, at)
            due = self._due[at] = _Due(timer, {})
        due.works[work] = None

    def remove(self, at: float, work: Work) -> None:
        """Let a piece of work alone that was added for that time."""
        due = self._due.get(at)
        if due is None:
            return
        due.works.pop(work, None)
        if not due.works:
            due.timer.cancel()
            del self._due[at]

    def _ring(self, at: float) -> None:
        for work in self._due.pop(at).works:
            call_as_task(self._expire, work)
