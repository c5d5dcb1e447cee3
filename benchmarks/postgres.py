"""Records a second that go to a PostgreSQL server in the background, beside SQLite and bare COPY.

It starts a server of its own, on this machine and with every commit synced; where its programs are
missing nothing is measured, and that is said. COPY of ready rows in one transaction is all that
this server and library can do, without numbers, fences and sums.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.journal_pace import (
    HEAD,
    RATE,
    RUNS,
    at_most,
    figures_of,
    offered,
    record,
    table,
    unbridled,
)
from runtime.journal.entry import encode
from runtime.journal.location import Address
from runtime.journal.opening import open_journal
from tests.postgres import Server, programs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks.journal_pace import Figures, Sink

TITLE = "records in the background to a server, {n:,} of 200 bytes in {runs} runs"
RECORDS = 100_000
_COPY = """
    COPY magsag.journal (run_id, seq, epoch, at, kind, op, terminal, cost_nano_usd, body) FROM STDIN
"""


def run(rounds: int, scale: float) -> list[dict[str, Any]]:
    """Print the table and return it.

    Args:
        rounds: how often each contender has its turn; 1 or more.
        scale: the operations, as a share of the usual number.
    """
    records = max(RATE // 20, int(RECORDS * scale))
    print(f"\n{TITLE.format(n=records, runs=RUNS)}, median of {rounds} rounds in turn")
    folder = programs()
    if folder is None:
        print("not measured: no initdb in PATH or in /usr/lib/postgresql/*/bin")
        return []
    print(f"{'':38} {HEAD}")
    with _started(Server(folder, "fsync = on")) as server:
        contenders: dict[str, Callable[[Server, int], Awaitable[Figures]]] = {
            "COPY, one transaction": bare,
            f"PostgreSQL, {RATE:,} offered a second": at_rate,
            "PostgreSQL, as many as it takes": at_its_most,
        }
        works = {name: partial(work, server, records) for name, work in contenders.items()}
        return table({**works, "SQLite, as many as it takes": partial(at_most, records)}, rounds)


@contextmanager
def _started(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.remove()


async def bare(server: Server, records: int) -> Figures:
    """The server alone: ready rows by COPY, in a thread."""
    import psycopg  # noqa: PLC0415  # an extra

    entries = [encode(record(number)) for number in range(records)]
    rows = [
        (e.run_id, seq, 1, e.at, e.kind, e.op, int(e.terminal), e.cost_nano_usd, e.text)
        for seq, e in enumerate(entries, 1)
    ]

    def write(address: str) -> None:
        with psycopg.connect(address) as connection:
            with connection.cursor().copy(_COPY) as copy:
                for row in rows:
                    copy.write_row(row)
            connection.commit()

    with server.database() as name:
        journal = await open_journal(Address(server.url(name)))  # makes the tables
        await journal.close()
        return await figures_of(asyncio.to_thread(write, server.url(name)), records)


async def at_rate(server: Server, records: int) -> Figures:
    """The journal, with so many a second."""
    return await _journalled(server, offered, records)


async def at_its_most(server: Server, records: int) -> Figures:
    """The journal, with as many as it takes."""
    return await _journalled(server, unbridled, records)


async def _journalled(
    server: Server, work: Callable[[Sink, int], Awaitable[None]], records: int
) -> Figures:
    with server.database() as name:
        journal = await open_journal(Address(server.url(name)))
        try:
            return await figures_of(work(journal, records), records)
        finally:
            await journal.close()
