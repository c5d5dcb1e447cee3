"""Who has the branches of runs, for the journal in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.identity import wall_clock
from runtime.journal.branches import Holding, Lease, Ours, answer, is_held
from runtime.journal.liveness import is_lost, this_process

if TYPE_CHECKING:
    from runtime.journal.branches import Answer, BranchKey
    from runtime.journal.fold import RunState
    from runtime.journal.records import Branch


class MemoryBranches:
    """The branches of the runs of this process.

    Args:
        leases: until when other processes have what is theirs.

    Attributes:
        holdings: who has them.
    """

    def __init__(self, leases: dict[str, float]) -> None:
        self.holdings: dict[BranchKey, Holding] = {}
        self._leases = leases

    def claim(self, state: RunState, op: str, epoch: int, *, is_settled: bool) -> Answer:
        """Return what a claim comes to; see ``branches.answer``."""
        key = (state.run_id, op)
        held = self.holdings.get(key)
        said = answer(op, epoch, state, held, self._lease_of, is_settled=is_settled)
        if isinstance(said, Ours):
            self.holdings[key] = Holding(epoch, said.branch.attempt, str(this_process()))
        return said

    def leave(self, run_id: str, epoch: int, branch: Branch) -> bool:
        """Let others have a branch; return whether it was still its guest's."""
        if not self.has(run_id, epoch, branch):
            return False
        key = (run_id, branch.op)
        self.holdings[key] = self.holdings[key]._replace(owner="")
        return True

    def has(self, run_id: str, epoch: int, branch: Branch) -> bool:
        """Whether a guest still has its branch."""
        return is_held(self.holdings.get((run_id, branch.op)), epoch, branch)

    def _lease_of(self, owner: str) -> Lease:
        held_until, now = self._leases.get(owner), wall_clock()
        left_s = None if held_until is None else max(0.0, held_until - now)
        return Lease(is_lost(now, owner, None, None, held_until), left_s)
