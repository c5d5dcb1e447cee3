"""The room at a gate: a node pulls as many messages as there are places, and does so much near.

What was asked for may come when the places are taken, as by what was delegated here meanwhile. It
must not wait here then, where another node may be idle. But whoever delegates here is nearer than
any queue, and could have every place: so what was overtaken has the next one, and until then what
is delegated here stands in the queue behind it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.engines.gate import Gate

MOST_AT_ONCE = 256
LOOK_AGAIN_S = 0.25  # a place that gets free beside those that are kept tells nobody


class Room:
    """The room at one agent's gate for what is pulled.

    Args:
        gate: how many bodies of it run here.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._coming = 0
        self._is_owed = False
        self._came = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Room at {self._gate!r} [{self._coming} coming]>"

    @property
    def is_for_near(self) -> bool:
        """Whether there is a place for what is delegated here, and the queue was not overtaken."""
        return not (self._is_owed or self._is_full)

    @property
    def _is_full(self) -> bool:
        """Whether each place is taken, or waited for, or somebody is coming for it."""
        gate = self._gate
        return not gate.is_open or gate.capacity - gate.inside <= self._coming

    def admits(self) -> bool:
        """Whether what was pulled may stay; if not, the next that is pulled has the next place."""
        self._is_owed = self._is_full
        return not self._is_owed

    def coming(self) -> Callable[[], None]:
        """Count what was pulled, until what is returned is called: it is at the gate, or over."""
        self._coming += 1
        is_coming = True

        def came() -> None:
            nonlocal is_coming
            self._coming -= is_coming
            is_coming = False
            self._came.set()

        return came

    async def free(self) -> int:
        """Wait until there is room, and return for how many."""
        while True:
            await self._open()
            free = self._gate.capacity - self._gate.inside - self._coming
            if free > 0:
                return min(free, MOST_AT_ONCE)
            if self._coming:
                self._came.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await self._came.wait()
            else:
                self._is_owed = True  # somebody was quicker than whoever was told of a place

    async def _open(self) -> None:
        """Wait until the gate has a free place, and take none."""
        is_open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def admit() -> bool:
            if not is_open.done():
                is_open.set_result(None)
            return False

        self._gate.enter(admit)
        await is_open
