"""Opening the journal for a command that writes it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from runtime.cli.streams import say
from runtime.journal import JournalUnusable, MemoryJournal, SqliteJournal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from runtime.journal import Journal


@asynccontextmanager
async def opened(database: Path | None, *, dispensable: bool = False) -> AsyncIterator[Journal]:
    """Open a journal, and close it however the block ends.

    Args:
        database: its file; None for memory.
        dispensable: whether to go on without it, and say so, when it cannot be opened.

    Raises:
        JournalUnusable: the file cannot be a journal.
        JournalFailed: some records could not be written.
    """
    journal = MemoryJournal() if database is None else await _open(database, dispensable)
    try:
        yield journal
    finally:
        with anyio.CancelScope(shield=True):
            await journal.close()  # where `running` did not come to it; twice does no harm


async def _open(database: Path, dispensable: bool) -> Journal:
    try:
        return await SqliteJournal.open(database)
    except JournalUnusable as error:
        if not dispensable:
            raise
        say(f"warning: {error}; without it, these calls are in no audit trail")
        return MemoryJournal()
