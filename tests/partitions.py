"""A wire between a process and a server that a test can cut, as a network between them would be.

What is said while it is cut arrives when it is whole again; nobody is told that it does not. So
connections stay, and new ones hang.
"""

from __future__ import annotations

import asyncio  # noqa: TID251  # plain sockets, in a thread of their own
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from anyio.from_thread import start_blocking_portal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyio.from_thread import BlockingPortal

_PIECE = 64 * 1024  # bytes


class Wire:
    """A way to a server on loopback.

    Args:
        port: the server's.

    Attributes:
        port: where the way begins.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self._to = port
        self._whole = asyncio.Event()
        self._whole.set()
        self._carried: set[asyncio.Task[None]] = set()
        self._portal: BlockingPortal

    @contextmanager
    def laid(self) -> Iterator[Wire]:
        """Be there until the block ends."""
        with start_blocking_portal() as self._portal:
            server = self._portal.call(self._open)
            try:
                yield self
            finally:
                self._portal.call(self._close, server)

    async def _open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        for task in self._carried:
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)

    def cut(self) -> None:
        """Let nothing through from now on."""
        self._portal.call(self._whole.clear)

    def mend(self) -> None:
        """Let through what was said meanwhile, and all that is said from now on."""
        self._portal.call(self._whole.set)

    async def _carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carried.add(task)
        try:
            await self._whole.wait()
            far, forth = await asyncio.open_connection("127.0.0.1", self._to)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pump(near, forth))
                    both.create_task(self._pump(far, back))
            finally:
                forth.close()
        except* (OSError, asyncio.CancelledError):
            pass  # the server is away, or the test is over: so is this end
        finally:
            self._carried.discard(task)
            back.close()

    async def _pump(self, read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await read.read(_PIECE):
                await self._whole.wait()
                write.write(piece)
                await write.drain()
            await self._whole.wait()
        write.close()
