"""Records a second that go to the disk in the background, and how late the event loop is meanwhile.

The loop itself makes and encodes them. Beside it: the same loop when they go nowhere, and SQLite's
``executemany`` of ready rows in one transaction, which is all that this disk and library can do.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.lag import watched
from runtime.journal import Record, SqliteJournal
from runtime.journal.entry import encode
from runtime.journal.schema import connect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TITLE = "records in the background, {n:,} of 200 bytes in {runs} runs"
RECORDS = 100_000
RATE = 20_000
RUNS = 50
BURST = 20
_TEXT = "x" * 150
_INSERT = """
    INSERT INTO journal (run_id, seq, epoch, at, kind, op, terminal, cost_nano_usd, body)
    VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?)
"""

Figures = dict[str, float]


class Sink(Protocol):
    """What takes records."""

    def append(self, record: Record) -> None:
        """Take one."""

    async def room(self) -> None:
        """Wait until there is room for more."""

    async def flush(self) -> None:
        """Wait until all are kept."""


class Nowhere:
    """Encodes records, as a journal does, and forgets them."""

    def append(self, record: Record) -> None:
        """Encode it."""
        encode(record)

    async def room(self) -> None:
        """There is always."""

    async def flush(self) -> None:
        """Nothing is kept."""


def record(number: int) -> Record:
    """Return one of many records."""
    body = {"event": "measured", "agent": "main", "fields": {"n": number, "text": _TEXT}}
    return Record(f"run-{number % RUNS}", "log", f"main:0:1/log:{number}", body, 1.0)


async def offered(sink: Sink, records: int) -> None:
    """Append so many a second, however late the loop is."""
    began, done = time.perf_counter(), 0
    while done < records:
        due = min(records, int((time.perf_counter() - began) * RATE))
        for number in range(done, due):
            sink.append(record(number))
        done = due
        await asyncio.sleep(0.001)
    await sink.flush()


async def unbridled(sink: Sink, records: int) -> None:
    """Append as fast as there is room."""
    for first in range(0, records, BURST):
        await sink.room()
        for number in range(first, min(first + BURST, records)):
            sink.append(record(number))
        await asyncio.sleep(0)
    await sink.flush()


async def figures_of(work: Awaitable[None], records: int) -> Figures:
    """Return what was measured while some work was done."""
    async with watched() as lag:
        await asyncio.sleep(0.01)
        wall, cpu = time.perf_counter(), time.process_time()
        await work
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"per_second": records / wall, "cpu_us": cpu / records * 1e6, **lag.figures()}


async def bare(records: int) -> Figures:
    """SQLite alone: ready rows, one statement, one transaction, in a thread."""
    entries = [encode(record(number)) for number in range(records)]
    rows = [
        (e.run_id, seq, e.at, e.kind, e.op, e.terminal, e.cost_nano_usd, e.text)
        for seq, e in enumerate(entries, 1)
    ]

    def write(path: Path) -> None:
        connect(path, "full").close()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.executemany(_INSERT, rows)

    with tempfile.TemporaryDirectory() as folder:
        return await figures_of(asyncio.to_thread(write, Path(folder) / "journal.db"), records)


async def nowhere(records: int) -> Figures:
    """The loop that makes and encodes them, alone."""
    return await figures_of(offered(Nowhere(), records), records)


async def at_rate(records: int) -> Figures:
    """The journal, with so many a second."""
    return await _journalled(offered, records)


async def at_most(records: int) -> Figures:
    """The journal, with as many as it takes."""
    return await _journalled(unbridled, records)


async def _journalled(work: Callable[[Sink, int], Awaitable[None]], records: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        journal = await SqliteJournal.open(Path(folder) / "journal.db")
        try:
            return await figures_of(work(journal, records), records)
        finally:
            await journal.close()


CONTENDERS: dict[str, Callable[[int], Awaitable[Figures]]] = {
    "executemany, one transaction": bare,
    f"no journal, {RATE:,} offered a second": nowhere,
    f"SQLite, {RATE:,} offered a second": at_rate,
    "SQLite, as many as it takes": at_most,
}
HEAD = f"{'records/s':>11} {'CPU each':>11} {'lag p50':>9} {'p99':>8} {'max':>8}  undisturbed p99"


def run(rounds: int, scale: float) -> list[dict[str, Any]]:
    """Print the table and return it; see ``journal``."""
    records = max(RATE // 20, int(RECORDS * scale))
    print(f"\n{TITLE.format(n=records, runs=RUNS)}, median of {rounds} rounds in turn")
    print(f"{'':38} {HEAD}")
    return table({name: partial(work, records) for name, work in CONTENDERS.items()}, rounds)


def table(
    contenders: dict[str, Callable[[], Awaitable[Figures]]], rounds: int
) -> list[dict[str, Any]]:
    """Let contenders take turns, print a row of medians for each, and return them."""
    told: dict[str, list[Figures]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            told[name].append(asyncio.run(_once(work)))
    rows = []
    for name, turns in told.items():
        row = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        print(_row(name, row))
        rows.append({"contender": name, **row})
    return rows


async def _once(work: Callable[[], Awaitable[Figures]]) -> Figures:
    return await work()


def _row(name: str, row: Figures) -> str:
    text = (
        f"{name:38} {row['per_second']:>11,.0f} {row['cpu_us']:>8,.1f} us"
        f" {row['lag_p50_ms']:>6.2f} ms {row['lag_p99_ms']:>5.2f} ms {row['lag_max_ms']:>5.1f} ms"
        f" {row['undisturbed_p99_ms']:>9.2f} ms"
    )
    if "read_p50_ms" in row:
        text += (
            f" {row['reads']:>9,.0f} {row['read_p50_ms']:>6.2f} ms {row['read_p99_ms']:>6.2f} ms"
        )
    return text
