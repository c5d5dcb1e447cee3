"""The connection that takes runs out of a journal's file which others may be writing.

Rule 1: everything is written under the lock that all writers queue at, see ``store``, a few runs
or pages at a time, so that a process with a live run never waits long.
Rule 2: the index of ``data search`` knows the words of what goes, so it is thrown away first, and
nobody makes a new one until the words are gone.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from runtime.journal.faults import JournalUnusable, describe
from runtime.journal.lock import FileLock
from runtime.journal.over import free_pages, used_bytes
from runtime.journal.schema import connect, give_pages_back
from runtime.journal.search_file import locked, remove_index
from runtime.journal.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from runtime.journal.sweep import Told

_PAGES = 500  # that are given back to the disk in one transaction
_TURN_S = 0.005  # between two transactions: the lock has no queue, others must get their turn
_CHECKPOINT_WAIT_MS = 100  # for readers in the way, which end soon; writers wait, too
_CHECKPOINT_TRIES = 50


class Broom(Sweep):
    """A connection that deletes from a file."""

    connection: sqlite3.Connection

    def __init__(
        self, path: Path, connection: sqlite3.Connection, lock: FileLock, told: Told, size: int
    ) -> None:
        super().__init__(connection, told, size)
        self._path = path
        self._lock = lock
        self._never = threading.Event()

    @classmethod
    @contextmanager
    def opened(cls, path: Path, told: Told = lambda *_: None) -> Iterator[Broom]:
        """Open a journal's file, which may be new; it is closed when the block ends.

        Raises:
            JournalUnusable: it cannot be written, or is no journal.
        """
        size = size_of(path) if path.is_file() else 0  # before the log of opening it
        try:
            lock = FileLock(path.with_name(f"{path.name}-lock"))
        except OSError as error:
            raise JournalUnusable(describe(path, error)) from error
        with closing(lock):
            try:
                with lock:
                    connection = connect(path, "full")
            except (OSError, sqlite3.Error) as error:
                raise JournalUnusable(describe(path, error)) from error
            with closing(connection):
                yield cls(path, connection, lock, told, size)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write something while nobody else does."""
        with self._lock:
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                self.connection.rollback()
                raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See the journal as it is now until the block ends, whatever others write."""
        self._execute("BEGIN")
        try:
            yield
        finally:
            self.connection.rollback()

    def pause(self) -> None:
        """Bring what is written into the file, and let others have their turn."""
        with self._lock:
            self._execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._never.wait(_TURN_S)

    def mode(self) -> int:
        """Return who may read and write the file."""
        return self._path.stat().st_mode & 0o666

    def used_bytes(self) -> int:
        """Return how many bytes of the file are in use."""
        return used_bytes(self.connection)

    def size(self) -> int:
        """Return how many bytes the file and its log have."""
        return size_of(self._path)

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table."""
        return [row[1] for row in self._execute(f"PRAGMA table_info({table})")]

    def enforce_references(self) -> None:
        """Let no record in whose large body is not there."""
        self._execute("PRAGMA foreign_keys = ON")

    def _alone(self) -> AbstractContextManager[None]:
        return locked(self._path)

    def _forget_words(self) -> None:
        remove_index(self._path)

    def compact(self) -> None:
        """Give the free pages back to the disk, and empty the log."""
        while free_pages(self.connection):
            with self._lock:
                self._give_back()
            self.told("deleted", self.freed.runs)
            self.pause()
        self.freed.delayed = not self._emptied()

    def _emptied(self) -> bool:
        """Empty the log, as soon as no reader is in the way; return whether that came to pass."""
        self._execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")
        for _ in range(_CHECKPOINT_TRIES):
            with self._lock:
                busy, *_ = self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return True
            self.told("deleted", self.freed.runs)
            self._never.wait(_TURN_S)
        return False

    def convert(self) -> None:
        """Make an earlier version's file one that can be compacted piece by piece.

        SQLite writes it anew for that, in one piece, while nobody else can write.
        """
        if self._execute("PRAGMA auto_vacuum").fetchone()[0] == 0:
            with self._lock:
                give_pages_back(self.connection)
                self._execute("VACUUM")

    def _give_back(self) -> None:
        try:  # a script, because ``execute`` would give back one page only
            self.connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA incremental_vacuum({_PAGES}); COMMIT"
            )
        except BaseException:
            self.connection.rollback()
            raise


def size_of(path: Path) -> int:
    """Return how many bytes a journal's file and its log have."""
    size = path.stat().st_size
    with suppress(FileNotFoundError):
        size += path.with_name(f"{path.name}-wal").stat().st_size
    return size
