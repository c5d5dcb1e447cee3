"""What a process may do by its lease: the side of the one that has it. Pure.

Rule 1: one lease is for all runs of a process, and for all branches of others' runs that it works
on, and is only renewed while there are some.
Rule 2: it is renewed every third of its time, and after two thirds without a renewal no step
begins: the last third is for what was begun, and for clocks that go at different rates.
Rule 3: the time of a lease begins when its renewal is asked for, so its owner never thinks that it
is longer than the store does.

Times here are of a clock that also goes on while the machine sleeps, see ``liveness``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.journal.branches import Claiming, Leaving, Ours
from runtime.journal.entry import Right, left
from runtime.journal.faults import fenced
from runtime.journal.fold import End, Parked, Start, TakenOver
from runtime.journal.records import Branch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.journal.branches import BranchKey
    from runtime.journal.entry import Entry

LEASE_S = 30.0
_TURNS = frozenset({Start, TakenOver, Parked, End, Claiming, Leaving})
_LEFT_OUT = frozenset({"not_taken", "not_noted"})


def is_turn(entry: Entry) -> bool:
    """Whether a record may change what its writer owns; most do not, so this is quick."""
    return type(entry.facts) in _TURNS or entry.verdict == "fenced"


class Tenure:
    """The lease of one process in one store, and the runs that it is for.

    One thread changes it, any may ask. But whoever has settled a branch lets go of that by itself.

    Attributes:
        owner: the process, as text.
        lease_s: for how many seconds a renewal is good.
        runs: what is under way, and the how-manieth owner this process is.
        branches: what it is a guest for: the epoch of the run, and the attempt.
    """

    def __init__(self, owner: str, lease_s: float = LEASE_S) -> None:
        self.owner = owner
        self.lease_s = lease_s
        self.runs: dict[str, int] = {}
        self.branches: dict[BranchKey, tuple[int, int]] = {}
        self._fenced: dict[str, int] = {}
        self._asked_at: float | None = None
        self._works_s = lease_s * 2 / 3

    def __repr__(self) -> str:
        counts = f"{len(self.runs)} runs, {len(self.branches)} branches"
        return f"<Tenure of {self.owner} [{counts}, {len(self._fenced)} fenced]>"

    @property
    def was_held(self) -> bool:
        """Whether there is a lease to give back."""
        return self._asked_at is not None

    @property
    def has_lost(self) -> bool:
        """Whether somebody else has taken over any run that was ours."""
        return bool(self._fenced)

    def due_in(self, now: float) -> float | None:
        """Return the seconds until the next renewal; None when nothing is under way."""
        return self._left(self.lease_s / 3, now) if self.runs or self.branches else None

    def is_due(self, now: float, group: Sequence[Entry]) -> bool:
        """Whether a transaction has to renew the lease.

        Args:
            now: the time.
            group: what it writes; by that this process may own a run, or get a branch.
        """
        if self._left(self.lease_s / 3, now) > 0:
            return False
        return bool(self.runs or self.branches) or any(map(self.begins, filter(is_turn, group)))

    def may_begin(self, now: float) -> bool:
        """Whether a step may begin."""
        if not (self.runs or self.branches):
            return True
        return self._asked_at is not None and now < self._asked_at + self._works_s

    def _left(self, seconds: float, now: float) -> float:
        return 0.0 if self._asked_at is None else max(0.0, self._asked_at + seconds - now)

    def is_in_doubt(self, held_until: float | None, now: float) -> bool:
        """Whether somebody else may have taken over what was ours before this renewal.

        Args:
            held_until: when the lease was over that is renewed, by the store's clock; None where
                there was none.
            now: the time by the same clock.
        """
        return held_until is None or held_until <= now

    def renewed(self, asked_at: float) -> None:
        """Note that a renewal is committed.

        Args:
            asked_at: when it was asked for, before the store was.
        """
        self._asked_at = asked_at

    def begins(self, entry: Entry) -> bool:
        """Whether a record makes this process the owner of a run, or may give it a branch."""
        facts = entry.facts
        if isinstance(facts, Start | TakenOver):
            return facts.owner == self.owner
        return isinstance(facts, Claiming)

    def take(self, entry: Entry) -> None:
        """Note a committed record of those that ``is_turn`` finds."""
        if entry.by is Right.CLAIMANT:
            self._move(entry)
        elif entry.verdict == "fenced" and isinstance(entry.by, Branch):
            self.lose_branch((entry.run_id, entry.by.op), (entry.epoch, entry.by.attempt))
        elif entry.verdict == "fenced":
            self.lose(entry.run_id, entry.epoch)
        elif entry.verdict in _LEFT_OUT:
            return
        elif isinstance(entry.facts, End | Parked):
            self.runs.pop(entry.run_id, None)
        elif self.begins(entry):
            self.runs[entry.run_id] = entry.epoch

    def _move(self, entry: Entry) -> None:
        key = (entry.run_id, entry.op)
        if isinstance(entry.verdict, Ours):
            self.branches[key] = (entry.epoch, entry.verdict.branch.attempt)
        elif isinstance(entry.facts, Leaving) and (branch := left(entry.facts)) is not None:
            self.lose_branch(key, (entry.epoch, branch.attempt))

    def lose_branch(self, key: BranchKey, had: tuple[int, int]) -> bool:
        """Note that a branch is not ours any more, and return whether it was until now.

        Args:
            key: the branch.
            had: the epoch and the attempt by which it was.
        """
        is_ours = self.branches.get(key) == had
        if is_ours:
            self.branches.pop(key, None)
        return is_ours

    def lose(self, run_id: str, epoch: int) -> None:
        """Note that somebody else has taken a run over.

        Args:
            run_id: the run.
            epoch: the last one that is not theirs.
        """
        self._fenced[run_id] = max(epoch, self._fenced.get(run_id, 0))
        if self.runs.get(run_id, 0) <= epoch:
            self.runs.pop(run_id, None)

    def check(self, run_id: str, epoch: int, branch: Branch | None) -> None:
        """Refuse a former owner, and a former guest.

        Raises:
            Fenced: it owns the run no more, or has the branch no more.
        """
        if branch is not None:
            if self.branches.get((run_id, branch.op)) != (epoch, branch.attempt):
                raise fenced(run_id, branch)
        elif self._fenced and self._fenced.get(run_id, 0) >= epoch:
            raise fenced(run_id)


class Renewal(NamedTuple):
    """What a transaction has done for the lease, to be noted once it is committed.

    Attributes:
        tenure: what this process owns.
        asked_at: when the lease was renewed; None if it was not due.
        lost: runs that somebody else has taken over while the lease was over.
        claimed: branches that somebody else has claimed meanwhile.
    """

    tenure: Tenure
    asked_at: float | None
    lost: Sequence[str] = ()
    claimed: Sequence[BranchKey] = ()

    def note(self, group: Sequence[Entry]) -> None:
        """Note it, and what the records have changed that were written with it."""
        tenure = self.tenure
        if self.asked_at is not None:
            tenure.renewed(self.asked_at)  # first: a run that is under way has a lease
        for run_id in self.lost:
            tenure.lose(run_id, tenure.runs[run_id])
        for key in self.claimed:
            tenure.branches.pop(key, None)
        for entry in filter(is_turn, group):
            tenure.take(entry)
