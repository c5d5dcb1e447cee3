"""Deleting old runs from a journal that others may be writing, and making its file small.

Rule 1: a run goes as a whole, in one transaction, and only when nothing of it was written since:
one that has ended, or whose process on this machine is dead. See ``vacuum_old``.
Rule 2: money stays counted. What a call has reserved and never settled is settled as spent when it
is deleted, as for any call that is lost.
Rule 3: everything is written under the lock that all writers queue at, see ``store``, a few runs
at a time, so that a process with a live run never waits long. It does while the file is made
small, which SQLite does in one piece: 10 to 20 s for each gigabyte, and ``SqliteJournal`` has the
patience of 30 s.
Rule 4: the index of ``data search`` knows the words of what is deleted, so it is thrown away first,
and nobody makes a new one until the words are gone.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from runtime.journal.faults import JournalFailed, JournalUnusable, describe
from runtime.journal.ledger import SUBJECTS
from runtime.journal.lock import FileLock
from runtime.journal.schema import connect
from runtime.journal.search_file import locked, remove_index
from runtime.journal.vacuum_old import Freed, last_day_gone, old_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from runtime.journal.vacuum_old import OldRun

_GROUP = 5_000  # records that are deleted in one transaction, unless one run has more
_TURN_S = 0.005  # between two transactions: the lock has no queue, others must get their turn
_CHECKPOINT_WAIT_MS = 5_000  # for readers in the way, which end soon

_SETTLE = [
    f"""
        INSERT INTO spending (subject, name, day, nano_usd)
        SELECT '{subject}', {subject}, day, sum(reserved_nano_usd) FROM call
        WHERE run_id = ? AND status = 'running' AND reserved_nano_usd > 0 AND {subject} <> ''
        GROUP BY {subject}, day
        ON CONFLICT (subject, name, day) DO UPDATE SET nano_usd = nano_usd + excluded.nano_usd
    """  # noqa: S608  # one of three columns
    for subject in SUBJECTS
]
_DELETE_CONTENTS = """
    DELETE FROM blob
    WHERE sha256 NOT IN (SELECT sha256 FROM journal WHERE sha256 IS NOT NULL)
"""


def vacuum(path: Path, before: float | None, now: datetime) -> Freed:
    """Delete what is old, and make the file small.

    Args:
        path: the journal's file, absolute; it must be there.
        before: delete the runs that ended before, in seconds since the Unix epoch, and spending
            that nobody asks for any more; None deletes nothing.
        now: the time now, with its zone.

    Raises:
        JournalUnusable: the file cannot be written, or is no journal.
        JournalFailed: something went wrong on the way; whole runs may have been deleted.
    """
    size = _size(path)
    with _opened(path) as broom, _faults(path):
        if before is not None:
            with locked(path):
                broom.sweep_runs(before)
            broom.sweep_rest(last_day_gone(now))
        broom.compact()
        broom.freed.bytes = max(0, size - _size(path))
        return broom.freed


@contextmanager
def _opened(path: Path) -> Iterator[Broom]:
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
            yield Broom(path, connection, lock)


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise JournalFailed(describe(path, error)) from error


def _size(path: Path) -> int:
    size = path.stat().st_size
    with suppress(FileNotFoundError):
        size += path.with_name(f"{path.name}-wal").stat().st_size
    return size


class Broom:
    """A connection that deletes.

    Attributes:
        freed: what it has deleted so far.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock) -> None:
        self.freed = Freed()
        self._path = path
        self._connection = connection
        self._execute = connection.execute
        self._lock = lock
        self._never = threading.Event()

    def sweep_runs(self, before: float) -> None:
        """Delete the runs that are old. The lock of the index must be held."""
        last: str | None = ""
        while last is not None:
            with self._transaction():
                last = self._sweep_some(before, last)
            self._execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._never.wait(_TURN_S)

    def _sweep_some(self, before: float, after: str) -> str | None:
        records = 0
        for run in old_runs(self._connection, before, after):
            if self.freed.runs == 0:
                remove_index(self._path)
            self._delete(run)
            records += run.records
            if records >= _GROUP:
                return run.run_id
        return None

    def _delete(self, run: OldRun) -> None:
        for settle in _SETTLE:
            self._execute(settle, (run.run_id,))
        self.freed.runs += self._deleted("DELETE FROM run WHERE run_id = ?", run.run_id)
        self.freed.records += self._deleted("DELETE FROM journal WHERE run_id = ?", run.run_id)
        self.freed.calls += self._deleted("DELETE FROM call WHERE run_id = ?", run.run_id)

    def sweep_rest(self, day: str) -> None:
        """Delete large bodies that no record has any more, and spending before a day."""
        with self._transaction():
            self.freed.days = self._deleted("DELETE FROM spending WHERE day < ?", day)
            if self._execute("SELECT EXISTS (SELECT 1 FROM blob)").fetchone()[0]:
                self.freed.contents = self._deleted(_DELETE_CONTENTS)

    def _deleted(self, statement: str, *parameters: str) -> int:
        return self._execute(statement, parameters).rowcount

    def compact(self) -> None:
        """Write the file anew without its holes, and empty the log."""
        with self._lock:
            self._execute("VACUUM")
            self._execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")
            busy, *_ = self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self.freed.delayed = bool(busy)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.rollback()
                raise
            self._execute("COMMIT")
