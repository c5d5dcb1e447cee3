"""Every journal that there is, each as the tests open it."""

from __future__ import annotations

import sqlite3
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Any

from runtime.identity import wall_clock
from runtime.journal import Journal, MemoryJournal, SqliteJournal
from runtime.journal.location import Address
from runtime.journal.stored import StoredJournal
from tests import postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from runtime.journal.connection import Connection
    from runtime.journal.location import Location
    from runtime.journal.ownership import ProcessIdentity

STORES = ("memory", "sqlite", "postgres")
SHARED = ("sqlite", "postgres")  # those that several processes may share


@contextmanager
def place(store: str, folder: Path) -> Iterator[str]:
    """Yield where a journal may be: what ``--db`` says."""
    if store == "postgres":
        with postgres.address() as address:
            yield address
    else:
        yield ":memory:" if store == "memory" else str(folder / "journal.db")


async def open_at(where: str, **options: Any) -> Journal:
    """Open the journal that ``--db`` names; the caller closes it."""
    if where == ":memory:":
        return MemoryJournal()
    if where.startswith("postgresql:"):
        from runtime.journal.postgres.journal import PostgresJournal  # noqa: PLC0415  # an extra

        return await PostgresJournal.open(where, **options)
    return await SqliteJournal.open(where, synchronous="normal", **options)


@asynccontextmanager
async def opened(store: str, folder: Path) -> AsyncIterator[Journal]:
    with place(store, folder) as where:
        journal = await open_at(where)
        try:
            yield journal
        finally:
            await journal.close()


@asynccontextmanager
async def several(store: str, folder: Path, count: int) -> AsyncIterator[list[Journal]]:
    """Open one journal several times, as so many processes would."""
    with place(store, folder) as where:
        async with AsyncExitStack() as stack:
            journals = []
            for _ in range(count):
                one = await open_at(where)
                stack.push_async_callback(one.close)
                journals.append(one)
            yield journals


def lend(journal: Journal, owner: ProcessIdentity, seconds: float) -> None:
    """Give a process a lease for some seconds from now on, whether or not it has one."""
    lease = str(owner), wall_clock() + seconds
    if isinstance(journal, MemoryJournal):
        journal.leases |= (lease,)
        return
    assert isinstance(journal, StoredJournal)
    with closing(_connected(journal._location)) as connection:
        connection.execute("DELETE FROM lease WHERE owner = ?", lease[:1])
        connection.execute("INSERT INTO lease VALUES (?, ?)", lease)


def hand(journal: Journal, run_id: str, op: str, owner: ProcessIdentity) -> None:
    """Let a claimed branch be another process's."""
    if isinstance(journal, MemoryJournal):
        holdings = journal.branches.holdings
        holdings[run_id, op] = holdings[run_id, op]._replace(owner=str(owner))
        return
    assert isinstance(journal, StoredJournal)
    change = "UPDATE branch SET owner = ? WHERE run_id = ? AND op = ?"
    with closing(_connected(journal._location)) as connection:
        connection.execute(change, (str(owner), run_id, op))


def _connected(where: Location) -> Connection:
    if isinstance(where, Address):
        from runtime.journal.postgres.driver import ServerConnection  # noqa: PLC0415  # an extra

        return ServerConnection(where, {})
    return sqlite3.connect(where, isolation_level=None)
