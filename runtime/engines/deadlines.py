"""Ends pieces of work when their time is up.

Most Delegations of a run have to be done when the run has: they share one timer. A timer for each
would be the most expensive thing about a small piece of work.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.actors.callbacks import call_as_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.engines.work import Work


class Due:
    """The pieces of work that have to be done at one time."""

    __slots__ = ("_at", "_expire", "_others", "_timer", "_works")

    def __init__(self, at: float, expire: Callable[[Work], None], others: dict[float, Due]) -> None:
        self._at = at
        self._expire = expire
        self._others = others
        self._works: dict[Work, None] = {}  # as they came: those further up are first
        self._timer = asyncio.get_running_loop().call_at(at, self._ring)

    def add(self, work: Work) -> None:
        """End a piece of work then, unless it is removed before."""
        self._works[work] = None

    def remove(self, work: Work) -> None:
        """Let a piece of work alone; when none is left there is no timer."""
        self._works.pop(work, None)
        if not self._works:
            self._timer.cancel()
            self._forget()

    def _ring(self) -> None:
        self._forget()
        for work in tuple(self._works):
            call_as_task(self._expire, work)

    def _forget(self) -> None:
        if self._others.get(self._at) is self:
            del self._others[self._at]


class Deadlines:
    """The times at which pieces of work have to be done.

    Args:
        expire: ends one whose time is up.
    """

    def __init__(self, expire: Callable[[Work], None]) -> None:
        self._expire = expire
        self._due: dict[float, Due] = {}

    def __len__(self) -> int:
        return len(self._due)

    def add(self, at: float, work: Work) -> Due:
        """End a piece of work at a time of the event loop's clock, unless it is removed before.

        Returns:
            What it is to be removed from.
        """
        due = self._due.get(at)
        if due is None:
            due = self._due[at] = Due(at, self._expire, self._due)
        due.add(work)
        return due
