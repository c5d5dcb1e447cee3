"""Opening the journal for a command that writes it."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from runtime.cli.garbage import at_work
from runtime.cli.size_bound import bound_of
from runtime.cli.streams import say
from runtime.journal import JournalUnusable, MemoryJournal
from runtime.journal.caretaker import Caretaker
from runtime.journal.opening import open_journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from runtime.journal import Journal
    from runtime.journal.caretaker import Bound
    from runtime.journal.location import Location


@asynccontextmanager
async def opened(database: Location | None, *, dispensable: bool = False) -> AsyncIterator[Journal]:
    """Open a journal, and close it however the block ends.

    Args:
        database: where it is; None for memory.
        dispensable: whether to go on without it, and say so, when it cannot be opened.

    Raises:
        ConfigurationError: the environment bounds its size in a way that makes no sense.
        JournalUnusable: it cannot be a journal.
        JournalFailed: some records could not be written.
    """
    bound = bound_of(os.environ)
    journal = await _open(database, dispensable)
    at_work()
    try:
        with _kept_small(database, journal, bound):
            yield journal
    finally:
        with anyio.CancelScope(shield=True):
            await journal.close()  # where `running` did not come to it; twice does no harm


@contextmanager
def _kept_small(database: Location | None, journal: Journal, bound: Bound) -> Iterator[None]:
    if isinstance(journal, MemoryJournal) or not isinstance(database, Path):
        yield
        return
    caretaker = Caretaker(database, bound)
    caretaker.start()
    try:
        yield
    finally:
        caretaker.stop()


async def _open(database: Location | None, dispensable: bool) -> Journal:
    try:
        return await open_journal(database)
    except JournalUnusable as error:
        if not dispensable:
            raise
        say(f"warning: {error}; without it, these calls are in no audit trail")
        return MemoryJournal()
