"""The connection that takes runs out of a journal which others may be writing.

Rule 1: a run goes as a whole, in one transaction, and only if it is as it was when it was chosen.
Rule 2: money stays counted. What a call has reserved and never settled is settled as spent before
its run goes, as for any call that is lost.
Rule 3: everything is written under the lock that all writers queue at, see ``store``, a few runs
or pages at a time, so that a process with a live run never waits long.
Rule 4: the index of ``data search`` knows the words of what goes, so it is thrown away first, and
nobody makes a new one until the words are gone.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from runtime.journal.faults import JournalUnusable, describe
from runtime.journal.freed import Freed
from runtime.journal.ledger import SUBJECTS
from runtime.journal.lock import FileLock
from runtime.journal.over import free_pages, is_unchanged, used_bytes
from runtime.journal.schema import connect, give_pages_back
from runtime.journal.search_file import locked, remove_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from runtime.journal.over import Over

    Told = Callable[[str, int], None]  # what is done, and with how many runs so far

_GROUP = 2_000  # records that are deleted in one transaction, unless one run has more
_PAGES = 500  # that are given back to the disk in one transaction
_TURN_S = 0.005  # between two transactions: the lock has no queue, others must get their turn
_CHECKPOINT_WAIT_MS = 100  # for readers in the way, which end soon; writers wait, too
_CHECKPOINT_TRIES = 50

_OPEN = "SELECT 1 FROM call WHERE run_id = ? AND status = 'running' LIMIT 1"
_SETTLE = [
    f"""
        INSERT INTO spending (subject, name, day, nano_usd)
        SELECT '{subject}', {subject}, day, sum(reserved_nano_usd) FROM call
        WHERE run_id = :run_id AND status = 'running' AND reserved_nano_usd > 0 AND {subject} <> ''
        GROUP BY {subject}, day
        ON CONFLICT (subject, name, day) DO UPDATE SET nano_usd = nano_usd + excluded.nano_usd
    """  # noqa: S608  # one of three columns
    for subject in SUBJECTS
]
_LOSE = """
    UPDATE call SET status = 'lost', ended_at = :now, settled_nano_usd = reserved_nano_usd
    WHERE run_id = :run_id AND status = 'running'
"""
_LARGE = "SELECT DISTINCT sha256 FROM journal WHERE run_id = ? AND sha256 IS NOT NULL"
_UNUSED = "NOT EXISTS (SELECT 1 FROM journal WHERE journal.sha256 = blob.sha256)"
_DELETE_ONE = f"DELETE FROM blob WHERE sha256 = ? AND {_UNUSED}"  # noqa: S608  # our own condition
_DELETE_UNUSED = f"DELETE FROM blob WHERE {_UNUSED}"  # noqa: S608  # as above


class Broom:
    """A connection that deletes.

    Attributes:
        freed: what it has deleted so far.
        connection: the journal.
        told: is told from time to time how far it is.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, lock: FileLock, told: Told
    ) -> None:
        self.freed = Freed()
        self.told = told
        self.connection = connection
        self._path = path
        self._execute = connection.execute
        self._lock = lock
        self._never = threading.Event()

    @classmethod
    @contextmanager
    def opened(cls, path: Path, told: Told = lambda *_: None) -> Iterator[Broom]:
        """Open a journal's file, which may be new; it is closed when the block ends.

        Raises:
            JournalUnusable: it cannot be written, or is no journal.
        """
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
                yield cls(path, connection, lock, told)

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

    def settle(self, run_id: str, now: float) -> None:
        """Count the calls of a run that nobody has settled as lost, and as spent at their worst."""
        if self._execute(_OPEN, (run_id,)).fetchone() is None:
            return
        with self.transaction():
            self._settle(run_id, now)

    def _settle(self, run_id: str, now: float) -> None:
        for statement in (*_SETTLE, _LOSE):
            self._execute(statement, {"run_id": run_id, "now": now})

    def sweep(self, runs: Iterable[Over], now: float, enough: Callable[[], bool]) -> None:
        """Delete runs, a few at a time.

        Args:
            runs: which; one that has changed since stays.
            now: seconds since the Unix epoch.
            enough: asked before each run whether it and those behind it may stay.
        """
        waiting = iter(runs)
        with locked(self._path):
            while self._sweep_some(waiting, now, enough):
                self.told("deleted", self.freed.runs)
                self.pause()

    def _sweep_some(self, runs: Iterator[Over], now: float, enough: Callable[[], bool]) -> bool:
        """Delete a group of runs, and return whether there may be more to delete."""
        records = 0
        with self.transaction():
            while records < _GROUP:
                run = None if enough() else next(runs, None)
                if run is None:
                    return False
                if is_unchanged(self.connection, run):
                    self._delete(run.run_id, now)
                    records += run.records
        return True

    def _delete(self, run_id: str, now: float) -> None:
        if self.freed.runs == 0:
            remove_index(self._path)
        self._settle(run_id, now)
        large = self._execute(_LARGE, (run_id,)).fetchall()
        self.freed.runs += self._deleted("DELETE FROM run WHERE run_id = ?", run_id)
        self.freed.records += self._deleted("DELETE FROM journal WHERE run_id = ?", run_id)
        self.freed.calls += self._deleted("DELETE FROM call WHERE run_id = ?", run_id)
        for (digest,) in large:
            self.freed.contents += self._deleted(_DELETE_ONE, digest)

    def sweep_spending(self, day: str) -> None:
        """Delete spending before a day."""
        with self.transaction():
            self.freed.days = self._deleted("DELETE FROM spending WHERE day < ?", day)

    def sweep_contents(self) -> None:
        """Delete large bodies that no record has."""
        with self.transaction():
            self.freed.contents += self._deleted(_DELETE_UNUSED)

    def _deleted(self, statement: str, *parameters: object) -> int:
        return self._execute(statement, parameters).rowcount

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
