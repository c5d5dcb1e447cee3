"""What a process may do by its lease: the side of the one that has it. Pure.

Rule 1: one lease is for all runs of a process, and is only renewed while there are some.
Rule 2: it is renewed every third of its time, and after two thirds without a renewal no step
begins: the last third is for what was begun, and for clocks that go at different rates.
Rule 3: the time of a lease begins when its renewal is asked for, so its owner never thinks that it
is longer than the store does.

Times here are of a clock that also goes on while the machine sleeps, see ``liveness``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.journal.faults import fenced
from runtime.journal.fold import End, Parked, Start, TakenOver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.journal.entry import Entry

LEASE_S = 30.0
_TURNS = frozenset({Start, TakenOver, Parked, End})
_LEFT_OUT = frozenset({"not_taken", "not_noted"})


def is_turn(entry: Entry) -> bool:
    """Whether a record may change what its writer owns; most do not, so this is quick."""
    return type(entry.facts) in _TURNS or entry.verdict == "fenced"


class Tenure:
    """The lease of one process in one store, and the runs that it is for.

    One thread changes it, any may ask.

    Attributes:
        owner: the process, as text.
        lease_s: for how many seconds a renewal is good.
        runs: what is under way, and the how-manieth owner this process is.
    """

    def __init__(self, owner: str, lease_s: float = LEASE_S) -> None:
        self.owner = owner
        self.lease_s = lease_s
        self.runs: dict[str, int] = {}
        self._fenced: dict[str, int] = {}
        self._asked_at: float | None = None

    def __repr__(self) -> str:
        return f"<Tenure of {self.owner} [{len(self.runs)} runs, {len(self._fenced)} fenced]>"

    @property
    def was_held(self) -> bool:
        """Whether there is a lease to give back."""
        return self._asked_at is not None

    def due_in(self, now: float) -> float | None:
        """Return the seconds until the next renewal; None when nothing is under way."""
        return self._left(self.lease_s / 3, now) if self.runs else None

    def is_due(self, now: float, *, begins: bool) -> bool:
        """Whether a transaction has to renew the lease.

        Args:
            now: the time.
            begins: whether it has a record by which this process owns a run.
        """
        return bool(begins or self.runs) and self._left(self.lease_s / 3, now) <= 0

    def may_begin(self, now: float) -> bool:
        """Whether a step may begin."""
        return not self.runs or self._left(self.lease_s * 2 / 3, now) > 0

    def _left(self, seconds: float, now: float) -> float:
        return 0.0 if self._asked_at is None else max(0.0, self._asked_at + seconds - now)

    def doubts(self, held_until: float | None, now: float) -> list[str]:
        """Return the runs that somebody else may have taken over before this renewal.

        Args:
            held_until: when the lease was over that is renewed, by the store's clock; None where
                there was none.
            now: the time by the same clock.
        """
        return [*self.runs] if held_until is None or held_until <= now else []

    def renewed(self, asked_at: float) -> None:
        """Note that a renewal is committed.

        Args:
            asked_at: when it was asked for, before the store was.
        """
        self._asked_at = asked_at

    def begins(self, entry: Entry) -> bool:
        """Whether a record makes this process the owner of a run."""
        facts = entry.facts
        return isinstance(facts, Start | TakenOver) and facts.owner == self.owner

    def take(self, entry: Entry) -> None:
        """Note a committed record of those that ``is_turn`` finds."""
        if entry.verdict == "fenced":
            self.lose(entry.run_id, entry.epoch)
        elif entry.verdict in _LEFT_OUT:
            return
        elif isinstance(entry.facts, End | Parked):
            self.runs.pop(entry.run_id, None)
        elif self.begins(entry):
            self.runs[entry.run_id] = entry.epoch

    def lose(self, run_id: str, epoch: int) -> None:
        """Note that somebody else has taken a run over.

        Args:
            run_id: the run.
            epoch: the last one that is not theirs.
        """
        self._fenced[run_id] = max(epoch, self._fenced.get(run_id, 0))
        if self.runs.get(run_id, 0) <= epoch:
            self.runs.pop(run_id, None)

    def check(self, run_id: str, epoch: int) -> None:
        """Refuse a former owner.

        Raises:
            Fenced: it owns the run no more.
        """
        if self._fenced and self._fenced.get(run_id, 0) >= epoch:
            raise fenced(run_id)


class Renewal(NamedTuple):
    """What a transaction has done for the lease, to be noted once it is committed.

    Attributes:
        tenure: what this process owns.
        asked_at: when the lease was renewed; None if it was not due.
        lost: runs that somebody else has taken over while the lease was over.
    """

    tenure: Tenure
    asked_at: float | None
    lost: Sequence[str]

    def note(self, group: Sequence[Entry]) -> None:
        """Note it, and what the records have changed that were written with it."""
        tenure = self.tenure
        if self.asked_at is not None:
            tenure.renewed(self.asked_at)  # first: a run that is under way has a lease
        for run_id in self.lost:
            tenure.lose(run_id, tenure.runs[run_id])
        for entry in filter(is_turn, group):
            tenure.take(entry)
