"""Opening the journal for a command that writes it."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio

from runtime.cli.size_bound import bound_of
from runtime.cli.streams import say
from runtime.journal import JournalUnusable, MemoryJournal, SqliteJournal
from runtime.journal.caretaker import Caretaker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from runtime.journal import Journal
    from runtime.journal.caretaker import Bound


@asynccontextmanager
async def opened(database: Path | None, *, dispensable: bool = False) -> AsyncIterator[Journal]:
    """Open a journal, and close it however the block ends.

    Args:
        database: its file; None for memory.
        dispensable: whether to go on without it, and say so, when it cannot be opened.

    Raises:
        ConfigurationError: the environment bounds its size in a way that makes no sense.
        JournalUnusable: the file cannot be a journal.
        JournalFailed: some records could not be written.
    """
    bound = bound_of(os.environ)
    journal = MemoryJournal() if database is None else await _open(database, dispensable)
    try:
        with _kept_small(database, journal, bound):
            yield journal
    finally:
        with anyio.CancelScope(shield=True):
            await journal.close()  # where `running` did not come to it; twice does no harm


@contextmanager
def _kept_small(database: Path | None, journal: Journal, bound: Bound) -> Iterator[None]:
    if database is None or isinstance(journal, MemoryJournal):
        yield
        return
    caretaker = Caretaker(database, bound)
    caretaker.start()
    try:
        yield
    finally:
        caretaker.stop()


async def _open(database: Path, dispensable: bool) -> Journal:
    try:
        return await SqliteJournal.open(database)
    except JournalUnusable as error:
        if not dispensable:
            raise
        say(f"warning: {error}; without it, these calls are in no audit trail")
        return MemoryJournal()
