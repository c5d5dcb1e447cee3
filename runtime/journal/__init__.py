"""The journal: an append-only record of every run, written before anybody relies on it.

In reading order:

- ``records``: what is written (``Record``), by a table of kinds, and what is read back
- ``protocol``: ``Journal``, what dispatch, context and the command line may ask for
- ``faults``: ``JournalFailed`` and ``JournalUnusable``, each with the next step
- ``fold``: how records become the row of a run; pure, shared by every journal
- ``entry``: a record checked, encoded and out of its caller's reach
- ``memory``: ``MemoryJournal``, for tests and ``--db :memory:``
- ``sqlite``: ``SqliteJournal``, the default, on top of

  - ``backlog`` and ``bell``: from any thread to the writer, and back to the event loop
  - ``writer``: the one thread that commits, in groups, and tries again
  - ``store``, ``schema``, ``lock``: the database that this thread owns
  - ``reader``: queries beside it
"""

from __future__ import annotations

from runtime.journal.faults import JournalFailed, JournalUnusable
from runtime.journal.memory import MemoryJournal
from runtime.journal.protocol import Journal
from runtime.journal.records import (
    KINDS,
    EventRow,
    JournalStatistics,
    Kind,
    KindRule,
    Record,
    RunRow,
    RunStatus,
)
from runtime.journal.sqlite import SqliteJournal

__all__ = [
    "KINDS",
    "EventRow",
    "Journal",
    "JournalFailed",
    "JournalStatistics",
    "JournalUnusable",
    "Kind",
    "KindRule",
    "MemoryJournal",
    "Record",
    "RunRow",
    "RunStatus",
    "SqliteJournal",
]
