"""What takes runs out of a journal which others may be writing, whatever database it is in.

Rule 1: a run goes as a whole, in one transaction, and only if it is as it was when it was chosen.
Rule 2: money stays counted. What a call has reserved and never settled is settled as spent before
its run goes, as for any call that is lost.
Rule 3: a few runs at a time, so that a process with a live run never waits long.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from runtime.journal.freed import Freed
from runtime.journal.ledger import SUBJECTS
from runtime.journal.over import is_unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from runtime.journal.connection import Connection
    from runtime.journal.over import Over

    Told = Callable[[str, int], None]  # what is done, and with how many runs so far

_GROUP = 2_000  # records that are deleted in one transaction, unless one run has more

_OPEN = "SELECT 1 FROM call WHERE run_id = ? AND status = 'running' LIMIT 1"
_SETTLE = [
    f"""
        INSERT INTO spending (subject, name, day, nano_usd)
        SELECT '{subject}', {subject}, day, sum(reserved_nano_usd) FROM call
        WHERE run_id = :run_id AND status = 'running' AND reserved_nano_usd > 0 AND {subject} <> ''
        GROUP BY {subject}, day
        ON CONFLICT (subject, name, day)
        DO UPDATE SET nano_usd = spending.nano_usd + excluded.nano_usd
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


class Sweep(ABC):
    """A connection that deletes.

    Attributes:
        freed: what it has deleted so far.
        connection: the journal.
        told: is told from time to time how far it is.
    """

    def __init__(self, connection: Connection, told: Told, size: int) -> None:
        """Begin with a journal of so many bytes."""
        self.freed = Freed()
        self._size = size
        self.told = told
        self.connection = connection
        self._execute = connection.execute

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Write something, all of it or nothing."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """See a run as it is now until the block ends, whatever others write."""

    @abstractmethod
    def pause(self) -> None:
        """Let others have their turn."""

    @abstractmethod
    def mode(self) -> int:
        """Return who may read and write an archive."""

    @abstractmethod
    def used_bytes(self) -> int:
        """Return how many bytes are in use."""

    @abstractmethod
    def size(self) -> int:
        """Return how many bytes the journal has of its disk."""

    def shrunk_by(self) -> int:
        """Return by how many bytes the journal is smaller than it was."""
        return max(0, self._size - self.size())

    @abstractmethod
    def columns(self, table: str) -> list[str]:
        """Return the columns of a table."""

    @abstractmethod
    def enforce_references(self) -> None:
        """Let no record in whose large body is not there."""

    @abstractmethod
    def convert(self) -> None:
        """Make an earlier version's journal one that can be compacted piece by piece."""

    @abstractmethod
    def compact(self) -> None:
        """Give back what is free."""

    @abstractmethod
    def _alone(self) -> AbstractContextManager[None]:
        """Keep others from the index of words until the block ends."""

    @abstractmethod
    def _forget_words(self) -> None:
        """Throw the index of words away; nobody makes a new one in ``_alone``."""

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
        with self._alone():
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
            self._forget_words()
        self._settle(run_id, now)
        large = self._execute(_LARGE, (run_id,)).fetchall()
        self.freed.runs += self._deleted("DELETE FROM run WHERE run_id = ?", run_id)
        self.freed.records += self._deleted("DELETE FROM journal WHERE run_id = ?", run_id)
        self.freed.calls += self._deleted("DELETE FROM call WHERE run_id = ?", run_id)
        # Who works on what is nobody's concern any more: it is in no archive, and is not counted.
        self._execute("DELETE FROM branch WHERE run_id = ?", (run_id,))
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
