"""Every journal that there is, each as the tests open it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from runtime.journal import Journal, MemoryJournal, SqliteJournal
from tests import postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

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


async def open_at(where: str) -> Journal:
    """Open the journal that ``--db`` names; the caller closes it."""
    if where == ":memory:":
        return MemoryJournal()
    if where.startswith("postgresql:"):
        from runtime.journal.postgres.journal import PostgresJournal  # noqa: PLC0415  # an extra

        return await PostgresJournal.open(where)
    return await SqliteJournal.open(where, synchronous="normal")


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
