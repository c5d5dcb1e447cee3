"""One body's place at a gate: left while it waits for its own delegations, taken again after."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.engines.gate import Gate


class Place:
    """A place at a gate.

    Attributes:
        inside: whether it is held.
    """

    __slots__ = ("_coming", "_gate", "inside")

    def __init__(self, gate: Gate, inside: bool = False) -> None:
        self.inside = inside
        self._gate = gate
        self._coming: asyncio.Future[None] | None = None

    def leave(self) -> None:
        """Give the place back, and call off the way back to it; does nothing when not held."""
        if self._coming is not None and not self._coming.done():
            self._coming.set_result(None)  # a branch waits again: the body counts as waiting
        if self.inside:
            self.inside = False
            self._gate.leave()

    async def take(self) -> None:
        """Wait for a place like a newcomer."""
        await self._enter(returning=False)

    async def come_back(self) -> None:
        """Wait for a place, ahead of newcomers; returns at once when it is held.

        Also returns, without a place, when another branch of the body leaves meanwhile.
        """
        await self._enter(returning=True)

    def retake(self) -> None:
        """Take a place now, though there may be none: the body runs already, so it counts."""
        if not self.inside:
            self.inside = True
            self._gate.squeeze_in()

    async def _enter(self, *, returning: bool) -> None:
        if self.inside:
            return
        if self._coming is None or self._coming.done():
            self._coming = asyncio.get_running_loop().create_future()
            self._gate.enter(self._admit, returning=returning)
        # Shielded: two branches of one body may come back together, and one may be cancelled.
        await asyncio.shield(self._coming)

    def _admit(self) -> bool:
        if self.inside or self._coming is None or self._coming.done():
            return False
        self.inside = True
        self._coming.set_result(None)
        return True

    def abandon(self) -> None:
        """The body is over: leave, and let nobody wait for it."""
        if self._coming is not None and not self._coming.done():
            self._coming.cancel()
        self.leave()
