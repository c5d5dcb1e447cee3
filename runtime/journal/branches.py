"""Branches of runs, which processes work on that need not own the run. Pure.

A *branch* is one Delegation with all the steps below it; who works on it is its *guest*:

    nobody's ---- claim ----> attempt n of a process ---- its outcome ----> settled
       ^                                |
       +-- left, or its process has lost it as ``ownership`` says, or the run has a new owner

Rule 1: a claim that is granted has a greater attempt than all before it. A guest's records name
theirs; only those of the last attempt are taken, and only while the run has the owner of then.
Rule 2: a branch is settled by its outcome, whoever notes it; a step has one, as everywhere.
Rule 3: claims and records of a run are decided one after the other, under the lock of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from runtime.journal.records import Branch

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.journal.entry import Entry
    from runtime.journal.fold import RunState
    from runtime.journal.records import EventRow

BranchKey: TypeAlias = "tuple[str, str]"  # the run, and the operation


# --- what a claim comes to ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ours:
    """The branch is this process's.

    Attributes:
        branch: what every record of it has to name.
    """

    branch: Branch


@dataclass(frozen=True, slots=True)
class Settled:
    """The branch has its outcome.

    Attributes:
        outcome: the record of it.
    """

    outcome: EventRow


@dataclass(frozen=True, slots=True)
class Held:
    """Another has the branch, or this process itself has claimed it before.

    Attributes:
        owner: the process, as ``ownership`` writes it.
        left_s: for how many seconds its lease is good, which it may renew; None where it has none
            and is alive for certain.
    """

    owner: str
    left_s: float | None


@dataclass(frozen=True, slots=True)
class Gone:
    """Nobody may work on the branch: its run is over, is parked, or has another owner."""


Claimed: TypeAlias = Ours | Settled | Held | Gone
Answer: TypeAlias = "Ours | Held | Gone | str"  # as a store decides it, which reads no outcomes
SETTLED = "settled"


# --- what a writer is told, instead of a record ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claiming:
    """The process that writes wants a branch."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """A guest leaves its branch to whoever claims it next.

    Attributes:
        what: the branch; or the claim, where whoever made it has not waited for what came of it.
    """

    what: Branch | Entry


class Holding(NamedTuple):
    """A row of the table ``branch``.

    Attributes:
        epoch: the how-manieth owner the run had.
        attempt: the number of the last claim that was granted.
        owner: the process that has the branch; empty for nobody.
    """

    epoch: int
    attempt: int
    owner: str


class Lease(NamedTuple):
    """What the lease of a process says now.

    Attributes:
        is_lost: whether what the process has may be taken over.
        left_s: see ``Held``.
    """

    is_lost: bool
    left_s: float | None


def answer(
    op: str,
    epoch: int,
    state: RunState,
    holding: Holding | None,
    lease_of: Callable[[str], Lease],
    *,
    is_settled: bool,
) -> Answer:
    """Return what a claim comes to.

    Args:
        op: the branch.
        epoch: the how-manieth owner of the run wants it done.
        state: the run.
        holding: who has the branch; None where nobody ever had.
        lease_of: the lease of a process.
        is_settled: whether the branch has its outcome.
    """
    if is_settled:
        return SETTLED
    if not state.may_be_joined(epoch):
        return Gone()
    if holding is None:
        return Ours(Branch(op, 1))
    if holding.owner and holding.epoch == epoch:
        lease = lease_of(holding.owner)
        if not lease.is_lost:
            return Held(holding.owner, lease.left_s)
    return Ours(Branch(op, holding.attempt + 1))


def is_held(holding: Holding | None, epoch: int, branch: Branch) -> bool:
    """Whether a guest still has its branch.

    Args:
        holding: who has it.
        epoch: the how-manieth owner the run had when the guest claimed it.
        branch: what the guest was given.
    """
    if holding is None or not holding.owner:
        return False
    return (holding.epoch, holding.attempt) == (epoch, branch.attempt)
