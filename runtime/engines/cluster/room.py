"""How much a node may pull: as many messages as there are free places at a gate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.engines.gate import Gate

MOST_AT_ONCE = 256


class Room:
    """The room at one agent's gate for what is pulled.

    Args:
        gate: how many bodies of it run here.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._coming = 0
        self._came = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Room at {self._gate!r} [{self._coming} coming]>"

    def coming(self) -> None:
        """Count what was pulled, and stands at no gate yet."""
        self._coming += 1

    def came(self) -> None:
        """It stands at the gate now, or will not."""
        self._coming -= 1
        self._came.set()

    async def free(self) -> int:
        """Wait until there is room, and return for how many."""
        while True:
            await self._open()
            free = self._gate.capacity - self._gate.inside - self._coming
            if free > 0:
                return min(free, MOST_AT_ONCE)
            self._came.clear()
            await self._came.wait()

    async def _open(self) -> None:
        """Wait until the gate has a free place, and take none."""
        is_open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def admit() -> bool:
            if not is_open.done():
                is_open.set_result(None)
            return False

        self._gate.enter(admit)
        await is_open
