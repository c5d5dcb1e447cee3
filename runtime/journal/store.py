"""The database, as the one thread sees that owns it.

SQLite up to 3.51.2 can corrupt a file when two connections write or checkpoint it at the same
moment (the WAL-reset bug), and its busy handler has no queue: two processes that write one file
wait for seconds. So every commit and every checkpoint happens under an exclusive lock on
``FILE-lock``, SQLite's own checkpoints are off, and several processes may share one file safely.
Readers never checkpoint: they open the file with ``mode=ro``.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING

from runtime.identity import wall_clock
from runtime.journal.backlog import in_turns
from runtime.journal.books import Books
from runtime.journal.entry import Right
from runtime.journal.faults import JournalUnusable, describe
from runtime.journal.fold import COLUMNS, RunState, counts_of, values_of
from runtime.journal.group import GROW, INSERT, INSERT_FILED, KEEP, SAVE, decide, settle
from runtime.journal.holdings import Holdings
from runtime.journal.leases import Leases
from runtime.journal.liveness import steady_clock
from runtime.journal.lock import FileLock
from runtime.journal.schema import BUSY_TIMEOUT_MS, connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runtime.journal.books import CallKey
    from runtime.journal.calls import CallRow
    from runtime.journal.entry import Entry
    from runtime.journal.group import Outcome, Verdicts
    from runtime.journal.schema import Synchronous
    from runtime.journal.tenure import Tenure

_MOST_STATES = 10_000
_CHECKPOINT_WAIT_MS = 100

# A record's own fault, never the disk's: it is left out, and the others go on.
_RECORD_FAULTS = (sqlite3.IntegrityError, sqlite3.DataError)

_LOAD = f"SELECT {', '.join(COLUMNS)} FROM run WHERE run_id = ?"  # noqa: S608  # our own columns


class FileStore:
    """One connection that writes one file. Everything here belongs to one thread."""

    def __init__(
        self, path: Path, tenure: Tenure, *, synchronous: Synchronous, checkpoint_bytes: int
    ) -> None:
        """Open the file, and create it and its folder where there are none.

        Args:
            path: the file, absolute.
            tenure: what this process owns in it, kept up to date here.
            synchronous: ``full`` survives a power cut, ``normal`` only the death of the process.
            checkpoint_bytes: the length of the write-ahead log above which it is emptied.

        Raises:
            JournalUnusable: it cannot be a journal; the error says what to do.
        """
        self._wal = path.with_name(f"{path.name}-wal")
        self._checkpoint_bytes = self._next_checkpoint = checkpoint_bytes
        self._states: dict[str, RunState] = {}
        self._calls: dict[CallKey, CallRow] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise JournalUnusable(f"journal {path} is a folder; name a file in it with --db")
            self._lock = FileLock(path.with_name(f"{path.name}-lock"))
            self._connection = self._connect(path, synchronous)
            self._leases = Leases(self._connection, tenure, wall_clock)
        except (OSError, sqlite3.Error) as error:
            raise JournalUnusable(describe(path, error)) from error

    def _connect(self, path: Path, synchronous: Synchronous) -> sqlite3.Connection:
        try:
            with self._lock:
                return connect(path, synchronous)
        except BaseException:
            self._lock.close()
            raise

    def commit(self, group: Sequence[Entry]) -> list[Entry]:
        """Write a group in one transaction and return the records that were left out.

        A record whose claims do not hold is left out, too, but that is no fault: it has a verdict.
        An empty group renews the lease where that is due.

        Raises:
            sqlite3.Error: the file cannot be written; nothing of the group is.
            OSError: the lock cannot be had.
        """
        refused: list[Entry] = []
        with self._lock:
            asked_at = steady_clock()
            try:
                with self._transaction():
                    verdicts = self._insert(group)
                    renewal = self._leases.renewal(group, asked_at)
            except _RECORD_FAULTS:
                # Either one record is at fault, or another process has written one of these runs,
                # so that its next number is taken: what was known of the runs is read afresh.
                with self._transaction():
                    refused, verdicts = self._insert_singly(group)
                    renewal = self._leases.renewal(group, asked_at)
        fenced = settle(verdicts)
        renewal.note(group)
        return refused + fenced

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._forget()  # they were counted ahead of what is in the file
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        if len(self._states) > _MOST_STATES or len(self._calls) > _MOST_STATES:
            self._forget()

    def _forget(self) -> None:
        self._states.clear()
        self._calls.clear()

    def _insert(self, group: Sequence[Entry]) -> Verdicts:
        books = Books(self._connection, self._calls)
        holdings = Holdings(self._connection, self._leases)
        entries = chain.from_iterable(in_turns(group))
        outcome = decide(entries, self._state, books, self._leases.is_lost, holdings)
        self._connection.executemany(INSERT, outcome.rows)
        if outcome.filed:
            self._connection.executemany(KEEP, outcome.large.items())
            self._connection.executemany(INSERT_FILED, outcome.filed)
        self._save(outcome)
        books.save()
        if outcome.moves:
            outcome.verdicts += holdings.move(outcome.moves)
            self._calls.clear()  # of a branch that comes back others may have written the calls
        return outcome.verdicts

    def _save(self, outcome: Outcome) -> None:
        """Write the rows of the runs; of most only what is counted has changed."""
        told, changed = outcome.told, outcome.changed
        execute, grown = self._connection.executemany, changed.keys() - told
        execute(SAVE, [values_of(changed[run_id]) for run_id in told])
        found = execute(GROW, [counts_of(changed[run_id]) for run_id in grown])
        if found.rowcount < len(grown):  # one was deleted; what is noted of it now is a run's, too
            execute(SAVE, [values_of(changed[run_id]) for run_id in grown])

    def _insert_singly(self, entries: Sequence[Entry]) -> tuple[list[Entry], Verdicts]:
        refused: list[Entry] = []
        verdicts: Verdicts = []
        for entry in entries:
            try:
                verdicts += self._insert([entry])
            except _RECORD_FAULTS:
                self._forget()  # what is known has counted a record that is not there
                refused.append(entry)
        return refused, verdicts

    def _state(self, entry: Entry) -> RunState:
        if isinstance(entry.by, Right):
            self._states.pop(entry.run_id, None)  # other processes may have written the run since
        state = self._states.get(entry.run_id)
        if state is None:
            row = self._connection.execute(_LOAD, (entry.run_id,)).fetchone()
            state = RunState(*row) if row else RunState.first(entry.run_id, entry.at)
            self._states[entry.run_id] = state
        return state

    def reap(self, now: float) -> None:
        """Settle the calls that died with their processes, and forget the leases of these.

        Raises:
            sqlite3.Error: the file cannot be written.
            OSError: the lock cannot be had.
        """
        with self._lock, self._transaction():
            books = Books(self._connection, self._calls)
            books.reap(now)
            books.save()
            self._leases.reap()

    def tidy(self) -> None:
        """Empty the write-ahead log when it is long.

        Raises:
            sqlite3.Error: the file cannot be written.
            OSError: the lock cannot be had.
        """
        size = 0
        with suppress(FileNotFoundError):
            size = self._wal.stat().st_size
        if size < self._next_checkpoint:
            return
        with self._lock:
            busy = self._checkpoint()
        # A reader that stays would cost every group this wait: let the log grow first.
        self._next_checkpoint = self._checkpoint_bytes + (size if busy else 0)

    def _checkpoint(self) -> bool:
        # Look first: a connection that has not seen the last commit of another process mistakes
        # its own old view for a reader in the way, and waits for it.
        execute = self._connection.execute
        execute("PRAGMA data_version").fetchone()
        execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")  # everybody waits for this one
        try:
            return bool(execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        finally:
            execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")

    def close(self) -> None:
        """Empty the write-ahead log, and let go of file and lock. Never raises for the disk."""
        with self._lock:
            with suppress(sqlite3.Error):  # it is over by itself
                self._leases.give_back()
            with suppress(sqlite3.Error):  # the log stays, and the next one to open reads it
                self._checkpoint()
            self._connection.close()
        self._lock.close()
