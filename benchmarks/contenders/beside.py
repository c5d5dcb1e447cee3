"""Processes beside a contender's own: they serve it, and what they take of the CPU is told."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from benchmarks.workers import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from benchmarks.contender import Contender


@asynccontextmanager
async def beside(contenders: Iterable[Contender]) -> AsyncIterator[Callable[[], float]]:
    """Open contenders in processes of their own, until the end of the block.

    Yields:
        What returns their CPU so far, in seconds.

    Raises:
        RuntimeError: one of them cannot be opened.
    """
    workers = [Worker(one) for one in contenders]
    stack = ExitStack()
    try:
        for worker in workers:
            await asyncio.to_thread(stack.enter_context, worker)
            if worker.reason is not None:
                raise RuntimeError(worker.reason)
        yield lambda: sum(_cpu_s(worker.process) for worker in workers)
    finally:
        await asyncio.to_thread(stack.close)


def _cpu_s(process: int) -> float:
    """Return the CPU of a process by the clock that ``clock_getcpuclockid(3)`` makes of its id."""
    return time.clock_gettime(~process << 3 | 2)
