"""What the peers' model calls and workflows have in common: the question, the tool, the turns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.driving import in_turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.worker import Work

PROMPT = "Say hello to everybody who is here"
KEY = "key"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def calls(call: Callable[[int], Awaitable[Any]], *, tolerant: bool = False) -> Work:
    """Return the work of so many calls.

    Args:
        call: makes one.
        tolerant: whether calls that fail are counted instead of ending the bench.
    """

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        failed = 0

        async def tried(number: int) -> None:
            nonlocal failed
            try:
                await call(number)
            except Exception:  # noqa: BLE001  # whatever the peer raises where a server is busy
                failed += 1

        told: dict[str, Any] = await in_turns(tried if tolerant else call, operations, at_once)
        return told | {"failed": failed} if tolerant else told

    return work


def runs(run: Callable[[int], Awaitable[Any]]) -> Work:
    """Return the work of so many runs, which says the CPU of each."""

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        cpu = time.process_time()
        told: dict[str, Any] = await in_turns(run, operations, at_once)
        return told | {"run_ms": (time.process_time() - cpu) / operations * 1e3}

    return work
