"""Delegations per second: the whole pipeline, beside a bare queue with workers.

A delegation here is validated on both sides, journalled (four records), spanned (without an
exporter), given an actor of its own under a supervisor, and answered with a ``Result``.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Contender
from runtime import Context, mag, running, sag
from runtime.journal import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.journal import Journal

TITLE = "delegations per second (a body that returns a number)"
OPERATIONS = 5_000
CONCURRENCY = (1, 100, 1_000)


@sag
async def double(ctx: Context, n: int) -> int:
    """Double a number."""
    del ctx
    return n * 2


async def bare_queue(operations: int, concurrency: int, start: Callable[[], None]) -> None:
    """An asyncio.Queue, as many workers as operations under way, and a future per job."""
    queue: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue(concurrency)
    loop = asyncio.get_running_loop()

    async def work() -> None:
        while True:
            number, reply = await queue.get()
            reply.set_result(number * 2)

    workers = [asyncio.create_task(work()) for _ in range(concurrency)]
    start()
    replies = []
    for number in range(operations):
        reply: asyncio.Future[int] = loop.create_future()
        await queue.put((number, reply))
        replies.append(reply)
    for reply in replies:
        await reply
    for worker in workers:
        worker.cancel()


async def _pipeline(
    operations: int, concurrency: int, start: Callable[[], None], journal: Journal | None
) -> None:
    @mag
    async def main(ctx: Context) -> None:
        start()
        await ctx.map(double, range(operations), concurrency=concurrency)

    async with running(agents=(main, double), journal=journal, environ={}) as system:
        outcome = await system.run(main)
        if not outcome.ok:
            raise RuntimeError(outcome.error)


async def in_memory(operations: int, concurrency: int, start: Callable[[], None]) -> None:
    """Delegations with the journal in memory."""
    await _pipeline(operations, concurrency, start, None)


async def on_disk(operations: int, concurrency: int, start: Callable[[], None]) -> None:
    """Delegations with the journal in SQLite, synced at every group commit."""
    with tempfile.TemporaryDirectory() as folder:
        journal = await SqliteJournal.open(Path(folder) / "journal.db")
        await _pipeline(operations, concurrency, start, journal)


CONTENDERS = (
    Contender("asyncio.Queue and workers", bare_queue, is_baseline=True),
    Contender("delegations, journal in memory", in_memory),
    Contender("delegations, journal in SQLite", on_disk),
)
