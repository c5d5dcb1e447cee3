"""A contender's process: it opens one and does what it is told, in lines of JSON.

It prints ``{"ready": true}`` with the version of the peer, and for each line like
``{"operations": 1000, "at_once": 100}`` one object of numbers: ``wall_s``, ``cpu_s``, ``p50_ms``
and ``p99_ms`` where latencies were taken, ``rss_mb``, ``own_mb`` and ``files``, and what the
contender tells. An error is ``{"error": ...}`` and the end. What libraries print goes to stderr.

It runs in the environments of the peers, too, so it needs nothing but Python. Garbage is collected
before each turn, what is there after the first is frozen, and in a turn it is looked for as rarely
as in a ``python -m runtime`` that works, for ours and for theirs: after the usual 700 new objects a
model call would take a tenth more.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    Work = Callable[[int, int], Awaitable[Mapping[str, Any]]]
    """Does so many operations, so many at once; returns numbers, and ``latencies`` in seconds."""

PAGE = 4096
NEW_OBJECTS_TO_COLLECTION = 10_000  # what ``runtime.cli.garbage`` has for a process at work
MEBIBYTE = 1 << 20


async def main(place: str, options: Mapping[str, Any], distribution: str | None) -> None:
    """Open the contender, and work until stdin ends."""
    gc.set_threshold(NEW_OBJECTS_TO_COLLECTION)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**what: Any) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    try:
        module, _, name = place.partition(":")
        opened = getattr(import_module(f"benchmarks.contenders.{module}"), name)(**options)
        await _serve(opened, say, distribution)
    except BaseException as error:
        say(error=f"{type(error).__name__}: {error}"[:500])
        raise


async def _serve(
    opened: AbstractAsyncContextManager[Work], say: Callable[..., None], distribution: str | None
) -> None:
    async with opened as work:
        say(ready=True, version=_version(distribution))
        is_warm = False
        while line := await asyncio.to_thread(sys.stdin.readline):
            wanted = json.loads(line)
            say(**await _turn(work, wanted["operations"], wanted["at_once"]))
            if not is_warm:
                gc.collect()  # what is garbage by now would stay for ever
                gc.freeze()
                is_warm = True


async def _turn(work: Work, operations: int, at_once: int) -> dict[str, Any]:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    told = dict(await work(operations, at_once))
    measured = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    measured |= _percentiles(told.pop("latencies", ()))
    memory = {"rss_mb": rss_bytes() / MEBIBYTE, "own_mb": own_bytes() / MEBIBYTE}
    return measured | memory | {"files": open_files()} | told


def _percentiles(latencies: Any) -> dict[str, float]:
    ordered = sorted(latencies)
    if not ordered:
        return {}
    return {
        "p50_ms": ordered[len(ordered) // 2] * 1e3,
        "p99_ms": ordered[len(ordered) * 99 // 100] * 1e3,
    }


def rss_bytes() -> int:
    """Return what this process has in memory; 0 where the system does not say."""
    return _pages()[0] * PAGE


def own_bytes() -> int:
    """Return the same without files that are mapped, which the system can do without."""
    resident, shared = _pages()
    return (resident - shared) * PAGE


def _pages() -> tuple[int, int]:
    try:
        _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
    except OSError:
        return 0, 0
    return int(resident), int(shared)


def open_files() -> int:
    """Return how many files this process has open; 0 where the system does not say."""
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names only
    except OSError:
        return 0


def _version(distribution: str | None) -> str | None:
    try:
        return None if distribution is None else version(distribution)
    except PackageNotFoundError:
        return None


def start() -> None:
    """Run with what the command line says: a place, options, a distribution and cores, as JSON."""
    place, options, distribution, cores = json.loads(sys.argv[-1])
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    asyncio.run(main(place, options, distribution))


if __name__ == "__main__":
    start()
