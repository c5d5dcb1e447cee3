"""Ray: an actor is a process, and a message goes over sockets and shared memory."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import ray

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work


@asynccontextmanager
async def asks() -> AsyncIterator[Work]:
    """Asks of an actor; the CPU is that of the asking process alone."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    @ray.remote
    class Echo:
        def echo(self, message: Any) -> Any:
            return message

    echo: Any = Echo.remote()  # type: ignore[attr-defined]  # the decorator makes it
    await echo.echo.remote(0)

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        for first in range(0, operations, at_once):
            numbers = range(first, min(first + at_once, operations))
            ray.get([echo.echo.remote(number) for number in numbers])
        return {}

    yield work
    ray.shutdown()
