"""How many idle actors are measured: the time to make one, and what one takes in memory."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

from benchmarks.worker import rss_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.worker import Work


def crowd_of(
    create: Callable[[], Awaitable[Any]],
    settle: Callable[[], Awaitable[Any]],
    end: Callable[[list[Any]], Awaitable[None]],
) -> Work:
    """Return the work of making so many actors, which are alive together, and ending them.

    Args:
        create: makes one.
        settle: returns when all that were made are idle; part of the time that they took.
        end: ends them.

    Memory is that of the process after beside before, per actor; what a first crowd has left is
    used again by the next, so only the first tells it, and all later ones the same.
    """
    first: dict[int, float] = {}

    async def work(operations: int, at_once: int) -> dict[str, float]:
        del at_once
        gc.collect()
        before = rss_bytes()
        began, cpu = time.perf_counter(), time.process_time()
        refs = [await create() for _ in range(operations)]
        await settle()
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        taken = max(0, rss_bytes() - before)
        first.setdefault(operations, taken / operations)
        await end(refs)
        refs.clear()
        return {
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "bytes": first[operations],
            "crowd_mb": first[operations] * operations / (1 << 20),
        }

    return work
