"""Ctrl-C and SIGTERM: the first one ends the run in order, the second one ends the process.

The handler is the operating system's own and not the event loop's, so that the second signal
works even where an agent's code keeps the event loop from turning.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio

from runtime.cli.failures import CANCELLED
from runtime.cli.streams import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = b"\x1b[?25h"


class Interrupts:
    """Cancels ``scope`` at the first signal.

    Args:
        what: what the first signal begins, for people.

    Attributes:
        scope: what the first signal cancels; enter it around the run.
    """

    def __init__(self, what: str = "cancelling") -> None:
        self._what = what
        self.scope = anyio.CancelScope()
        self._seen = 0
        self._wake, self._waked = socket.socketpair()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Answer signals until the block ends; after a first one, until the process does."""
        for end in (self._wake, self._waked):
            end.setblocking(False)
        before = {number: signal.signal(number, self._arrived) for number in SIGNALS}
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._cancel)
                try:
                    yield
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            if not self._seen:
                for number, handler in before.items():
                    signal.signal(number, signal.SIG_DFL if handler is None else handler)
            self._wake.close()
            self._waked.close()

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        self._seen += 1
        if self._seen > 1:
            _kill()
        with suppress(OSError):
            self._wake.send(b"!")

    async def _cancel(self) -> None:
        await anyio.wait_readable(self._waked)
        say(f"{self._what}; press Ctrl-C again to kill")
        self.scope.cancel()


def _kill() -> None:
    """End the process at once, with a cursor on its terminal."""
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, SHOW_CURSOR)
    os._exit(CANCELLED)
