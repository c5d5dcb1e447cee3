"""Readers beside a writer that writes 20,000 records a second: 50 records of a run each."""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.journal_pace import HEAD, RATE, RUNS, Figures, figures_of, offered, table
from benchmarks.lag import quantile
from runtime.journal import SqliteJournal

TITLE = "readers beside a writer, {n:,} records at {rate:,} a second"
RECORDS = 60_000
READ = 50
READERS = (0, 1, 4)


async def beside(readers: int, records: int) -> Figures:
    """Write while so many read, each as fast as it gets its answers."""
    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        journal = await SqliteJournal.open(Path(folder) / "journal.db")
        tasks = [asyncio.create_task(_read(journal, n, took)) for n in range(readers)]
        try:
            figures = await figures_of(offered(journal, records), records)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await journal.close()
    return figures | {
        "reads": len(took) / (records / figures["per_second"]),
        "read_p50_ms": quantile(took, 0.5),
        "read_p99_ms": quantile(took, 0.99),
    }


async def _read(journal: SqliteJournal, number: int, took: list[float]) -> None:
    name = f"run-{number % RUNS}"
    while True:
        began = time.perf_counter()
        row = await journal.run(name)
        known = 0 if row is None else len(await journal.events(name, limit=READ))
        took.append((time.perf_counter() - began) * 1e3)
        if not known:
            await asyncio.sleep(0.001)


def run(rounds: int, scale: float) -> list[dict[str, Any]]:
    """Print the table and return it; see ``journal``."""
    records = max(RATE // 20, int(RECORDS * scale))
    print(f"\n{TITLE.format(n=records, rate=RATE)}, median of {rounds} rounds in turn")
    print(f"{'readers':38} {HEAD} {'reads/s':>9} {'p50':>9} {'p99':>9}")
    return table({str(n): partial(beside, n, records) for n in READERS}, rounds)
