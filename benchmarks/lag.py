"""How late an event loop is: a task that wants to run every millisecond, and does not.

On a busy machine much of that is the machine's: a thread waits for a core. Where the system tells
(Linux does), the moments in which no thread of this process waited are counted by themselves.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

PERIOD_S = 0.001
UNDISTURBED_S = 0.0002
_THREADS = Path("/proc/self/task")


@dataclass(slots=True)
class Lag:
    """How late a loop was, each time.

    Attributes:
        all: milliseconds.
        undisturbed: those in whose time every thread of this process had a core at once.
    """

    all: list[float] = field(default_factory=list)
    undisturbed: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Return median, 99th percentile and maximum in milliseconds."""
        return {
            "lag_p50_ms": quantile(self.all, 0.5),
            "lag_p99_ms": quantile(self.all, 0.99),
            "lag_max_ms": max(self.all, default=0.0),
            "undisturbed_p99_ms": quantile(self.undisturbed, 0.99),
        }


@asynccontextmanager
async def watched() -> AsyncIterator[Lag]:
    """Measure the running loop while the block lasts."""
    lag = Lag()
    task = asyncio.create_task(_watch(lag))
    try:
        yield lag
    finally:
        task.cancel()


async def _watch(lag: Lag) -> None:
    while True:
        before, began = _waits(), time.perf_counter()
        await asyncio.sleep(PERIOD_S)
        late = (time.perf_counter() - began - PERIOD_S) * 1e3
        lag.all.append(late)
        waited = sum(ns - before.get(thread, 0) for thread, ns in _waits().items())
        if waited < UNDISTURBED_S * 1e9:
            lag.undisturbed.append(late)


def _waits() -> dict[str, int]:
    """Return for how many nanoseconds each thread has waited for a core; none where nobody says."""
    waits = {}
    for thread in _THREADS.glob("*/schedstat"):
        try:
            waits[thread.parent.name] = int(thread.read_text().split()[1])
        except OSError:  # it has just ended
            continue
    return waits


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which such a share of them is; 0 for none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
