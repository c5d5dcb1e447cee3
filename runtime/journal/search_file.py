"""The file of a journal's search index, beside it: its name, its lock and its tables."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from runtime.journal.lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = 1

# The text comes as folded words with blanks between them, see ``words_of``. The tokenizer only has
# to cut at the blanks: letters that are newer than its tables must be no separators to it.
TABLES = (
    """
    CREATE TABLE known (
        id INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, started_at REAL
    )
    """,
    """
    CREATE TABLE record (
        id INTEGER PRIMARY KEY, run INTEGER NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL
    )
    """,
    """
    CREATE VIRTUAL TABLE word USING fts5 (
        text, content = '', columnsize = 0,
        tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* Co Cn'"
    )
    """,
    "INSERT INTO word (word, rank) VALUES ('hashsize', 16777216)",
    f"PRAGMA user_version = {VERSION}",
)


def index_of(path: Path) -> Path:
    """Return the file of a journal's index."""
    return path.with_name(f"{path.name}-search")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from a journal's index until the block ends.

    Raises:
        OSError: the lock cannot be had.
    """
    with closing(FileLock(path.with_name(f"{path.name}-search-lock"))) as lock, lock:
        yield


def remove_index(path: Path) -> None:
    """Throw a journal's index away. The lock must be held.

    Raises:
        OSError: that is not allowed.
    """
    file = index_of(path)
    for each in (file, file.with_name(f"{file.name}-journal")):
        each.unlink(missing_ok=True)


def connected(path: Path) -> sqlite3.Connection:
    """Open the index, and the journal to be read as ``origin``. The lock must be held.

    A new file may be read by those who may read the journal, and by nobody else.

    Raises:
        sqlite3.Error: one of them cannot be opened.
        OSError: the file cannot be written.
    """
    file = index_of(path)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, path.stat().st_mode & 0o777))
    connection = sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("ATTACH ? AS origin", (f"{path.as_uri()}?mode=ro",))
    except BaseException:
        connection.close()
        raise
    return connection
