"""Who has the branches that one transaction is about, in any database that is written in groups."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from runtime.journal.branches import Claiming, Holding, Leaving, Ours, answer, is_held
from runtime.journal.entry import left

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from runtime.journal.branches import Answer, BranchKey
    from runtime.journal.connection import Connection
    from runtime.journal.entry import Entry
    from runtime.journal.fold import RunState
    from runtime.journal.group import Verdicts
    from runtime.journal.leases import Leases
    from runtime.journal.records import Branch

_LOAD = "SELECT epoch, attempt, owner FROM branch WHERE run_id = ? AND op = ?"
_SAVE = """
    INSERT INTO branch (run_id, op, epoch, attempt, owner) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (run_id, op) DO UPDATE
    SET epoch = excluded.epoch, attempt = excluded.attempt, owner = excluded.owner
"""
_IS_SETTLED = "SELECT 1 FROM journal WHERE run_id = ? AND op = ? AND terminal = 1"


class Holdings:
    """The table ``branch``, as one transaction sees it that has locked its runs.

    Args:
        connection: the database, in a transaction.
        leases: of the processes that have branches.
        read: rows that were read in this transaction, None for those that are not there; what is
            missing here is read when it is needed.
        settled: returns which of some branches have their outcomes; None asks for one by one, which
            is right where that is no way to a server.
    """

    def __init__(
        self,
        connection: Connection,
        leases: Leases,
        read: Mapping[BranchKey, Holding | None] = MappingProxyType({}),
        settled: Callable[[Collection[BranchKey]], set[BranchKey]] | None = None,
    ) -> None:
        self._connection = connection
        self._leases = leases
        self._known = dict(read)
        self._settled = settled or self._settled_singly

    def has(self, entry: Entry, branch: Branch) -> bool:
        """Whether the writer of a record still has its branch."""
        return is_held(self._holding((entry.run_id, branch.op)), entry.epoch, branch)

    def move(self, moves: Sequence[tuple[Entry, RunState]]) -> Verdicts:
        """Write who has branches from now on, and return what became of each wish.

        Args:
            moves: wishes, in order, and the runs as they are behind all records before.
        """
        verdicts: Verdicts = []
        changed: dict[BranchKey, Holding] = {}
        wanted = {(e.run_id, e.op) for e, _ in moves if isinstance(e.facts, Claiming)}
        settled = self._settled(wanted) if wanted else wanted
        for entry, state in moves:
            key = (entry.run_id, entry.op)
            holding, entry.verdict = self._moved(  # who asks waits for the commit
                entry, state, is_settled=key in settled
            )
            verdicts.append((entry, entry.verdict))
            if holding is not None:
                self._known[key] = changed[key] = holding
        if changed:
            self._connection.executemany(_SAVE, [(*key, *row) for key, row in changed.items()])
        return verdicts

    def _moved(
        self, entry: Entry, state: RunState, *, is_settled: bool
    ) -> tuple[Holding | None, Answer]:
        """Return the new row of a branch, None if it stays, and what is said to the writer."""
        holding = self._holding((entry.run_id, entry.op))
        if isinstance(entry.facts, Leaving):
            branch = left(entry.facts)
            if holding is None or branch is None or not self.has(entry, branch):
                return None, "not_noted"
            said: Answer = "not_noted" if state.is_fenced(entry.epoch) else "noted"
            return holding._replace(owner=""), said
        lease_of = self._leases.lease_of
        said = answer(entry.op, entry.epoch, state, holding, lease_of, is_settled=is_settled)
        if not isinstance(said, Ours):
            return None, said
        return Holding(entry.epoch, said.branch.attempt, self._leases.owner), said

    def _settled_singly(self, keys: Collection[BranchKey]) -> set[BranchKey]:
        execute = self._connection.execute
        return {key for key in keys if execute(_IS_SETTLED, key).fetchone() is not None}

    def _holding(self, key: BranchKey) -> Holding | None:
        if key not in self._known:
            row = self._connection.execute(_LOAD, key).fetchone()
            self._known[key] = Holding(*row) if row else None
        return self._known[key]
