"""Opening a journal wherever it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runtime.journal.memory import MemoryJournal
from runtime.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from runtime.journal.location import Location
    from runtime.journal.protocol import Journal


async def open_journal(location: Location | None) -> Journal:
    """Open a journal to be written, and make it where there is none.

    Args:
        location: where it is; None for memory.

    Raises:
        JournalUnusable: it cannot be a journal; the error says what to do.
        ConfigurationError: it is a server's, and what that needs is not installed.
    """
    if location is None:
        return MemoryJournal()
    if isinstance(location, Path):
        return await SqliteJournal.open(location)
    from runtime.journal.postgres.journal import PostgresJournal  # noqa: PLC0415  # an extra

    return await PostgresJournal.open(location)
