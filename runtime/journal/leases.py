"""The leases of processes in a database, and the one of this process.

Every database that is written in groups keeps them so, each within its own transactions, and by the
clock of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.journal.branches import Holding, Lease
from runtime.journal.liveness import is_lost
from runtime.journal.tenure import Renewal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.journal.branches import BranchKey
    from runtime.journal.connection import Connection
    from runtime.journal.entry import Entry
    from runtime.journal.fold import RunState
    from runtime.journal.tenure import Tenure

_RENEW = """
    INSERT INTO lease (owner, held_until) VALUES (?, ?)
    ON CONFLICT (owner) DO UPDATE SET held_until = excluded.held_until
"""
# Whoever takes a run over and whoever renews its lease decide one after the other.
_HELD = "SELECT held_until FROM lease WHERE owner = ? /*+ FOR UPDATE */"
_OVER = "SELECT owner FROM lease WHERE held_until <= ?"
_FORGET = "DELETE FROM lease WHERE owner = ? AND held_until <= ?"
_GIVE_BACK = "DELETE FROM lease WHERE owner = ?"
_EPOCH = "SELECT epoch FROM run WHERE run_id = ?"
_GUEST = """
    SELECT branch.epoch, attempt, branch.owner FROM branch JOIN run USING (run_id, epoch)
    WHERE run_id = ? AND op = ?
"""


class Leases:
    """The table ``lease``, as the one thread sees it that writes the database.

    Args:
        connection: the database.
        tenure: what this process owns in it.
        clock: the time that leases are of, the same for all who write this database, in seconds
            since the Unix epoch.

    Attributes:
        owner: this process.
    """

    def __init__(self, connection: Connection, tenure: Tenure, clock: Callable[[], float]) -> None:
        self._execute = connection.execute
        self.owner = tenure.owner
        self._tenure = tenure
        self._clock = clock

    def is_lost(self, state: RunState) -> bool:
        """Whether the owner of a run has lost it, so that it may be taken over now."""
        held_until = self.held_until(state.owner)
        return is_lost(self._clock(), state.owner, state.pid, state.host, held_until)

    def lease_of(self, owner: str) -> Lease:
        """Return what the lease of a process says now."""
        held_until, now = self.held_until(owner), self._clock()
        left_s = None if held_until is None else max(0.0, held_until - now)
        return Lease(is_lost(now, owner, None, None, held_until), left_s)

    def held_until(self, owner: str | None) -> float | None:
        """Return when a lease is over, by the clock of leases; None where there is none."""
        row = self._execute(_HELD, (owner,)).fetchone()
        return None if row is None else row[0]

    def renewal(self, group: Sequence[Entry], asked_at: float) -> Renewal:
        """Renew our lease in this transaction, where that is due.

        Args:
            group: what else the transaction writes.
            asked_at: when it was begun.
        """
        tenure = self._tenure
        if not tenure.is_due(asked_at, group):
            return Renewal(tenure, None)
        now = self._clock()
        is_in_doubt = tenure.is_in_doubt(self.held_until(tenure.owner), now)
        self._execute(_RENEW, (tenure.owner, now + tenure.lease_s))
        if not is_in_doubt:
            return Renewal(tenure, asked_at)
        lost = [*filter(self._is_taken, tenure.runs)]
        claimed = [key for key, had in tuple(tenure.branches.items()) if self._is_claimed(key, had)]
        return Renewal(tenure, asked_at, lost, claimed)

    def _is_taken(self, run_id: str) -> bool:
        row = self._execute(_EPOCH, (run_id,)).fetchone()
        return row is None or row[0] != self._tenure.runs[run_id]

    def _is_claimed(self, key: BranchKey, had: tuple[int, int]) -> bool:
        row = self._execute(_GUEST, key).fetchone()
        return row is None or Holding(*row) != (*had, self._tenure.owner)

    def give_back(self) -> None:
        """Let others have what this process has not ended."""
        if self._tenure.was_held:
            self._execute(_GIVE_BACK, (self._tenure.owner,))

    def reap(self) -> None:
        """Forget the leases that say nothing: they are over, and their processes are gone."""
        now = self._clock()
        for (owner,) in self._execute(_OVER, (now,)).fetchall():
            if is_lost(now, owner, None, None, None):
                self._execute(_FORGET, (owner, now))
