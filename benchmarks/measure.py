"""Measuring contenders of this process: they take turns, medians count, CPU stands beside wall.

``rounds`` does it with processes of their own, which is what most benches want.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that does operations.

    Attributes:
        name: what it is.
        work: does so many operations with so many under way at once, on an event loop of its own;
            calls the given function when it is set up and the clock shall start.
        is_baseline: whether the others are compared with it.
    """

    name: str
    work: Callable[[int, int, Callable[[], None]], Awaitable[None]]
    is_baseline: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """What one contender did.

    Attributes:
        name: its name.
        concurrency: how many operations were under way at once.
        per_second: operations per second of wall time: minimum, median, maximum of the rounds.
        cpu_us: median microseconds of CPU per operation.
        ratio: its median beside the baseline's; 1 is as fast.
    """

    name: str
    concurrency: int
    per_second: tuple[float, float, float]
    cpu_us: float
    ratio: float


def measure(
    contenders: Sequence[Contender], operations: int, concurrency: int, rounds: int
) -> list[Figure]:
    """Let the contenders take turns for some rounds, after one that does not count."""
    wall: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    cpu: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for turn in range(rounds + 1):
        for contender in contenders:
            seconds, cpu_seconds = _once(contender, operations, concurrency)
            if turn:
                wall[contender.name].append(operations / seconds)
                cpu[contender.name].append(cpu_seconds / operations * 1e6)
    baseline = next(c.name for c in contenders if c.is_baseline)
    return [
        Figure(
            name,
            concurrency,
            (min(rates), statistics.median(rates), max(rates)),
            statistics.median(cpu[name]),
            statistics.median(rates) / statistics.median(wall[baseline]),
        )
        for name, rates in wall.items()
    ]


def _once(contender: Contender, operations: int, concurrency: int) -> tuple[float, float]:
    begun: list[tuple[float, float]] = []

    def start() -> None:
        begun.append((time.perf_counter(), time.process_time()))

    async def main() -> tuple[float, float]:
        await contender.work(operations, concurrency, start)
        return time.perf_counter(), time.process_time()

    gc.collect()
    wall, cpu = asyncio.run(main())
    return wall - begun[0][0], cpu - begun[0][1]
