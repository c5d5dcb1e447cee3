"""What every journal promises, whatever it is written on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from runtime.journal.branches import Claimed
    from runtime.journal.ledger import Balance, Claim, Scope, Shortfall
    from runtime.journal.query import CallQuery, Filed
    from runtime.journal.records import (
        Branch,
        EventRow,
        JournalStatistics,
        Record,
        Request,
        RunRow,
        RunStatus,
    )


class Journal(Protocol):
    """An append-only record of runs and their events.

    Records are committed in the order of their ``append``; each run numbers its own from 1
    without a gap. Reads show what is committed. After ``close`` everything but ``close`` and
    ``statistics`` raises ``JournalFailed``.
    """

    def append(self, record: Record) -> None:
        """Take a record. Never waits; may be called from any thread.

        The body is encoded here, so it may change afterwards without changing the journal.

        Raises:
            TypeError: the body is not JSON, or a field of it that is summed up has a wrong type.
            ValueError: the kind is unknown, or a number or a text cannot be stored.
            Fenced: another process has taken the run over, or has the branch that the record is of.
            JournalFailed: the journal is closed.
        """

    async def admit(self, record: Record, claims: tuple[Claim, ...]) -> Shortfall | None:
        """Take the beginning of a call, if what it may cost at worst fits into some limits.

        All limits hold, or nothing is noted; that is decided in the order of the records, by
        everything that is committed before, also by other processes.

        Args:
            record: an ``invocation_started`` with its ``reserved_nano_usd``.
            claims: the limits.

        Returns:
            The limit that it does not fit into; None when it is noted and its cost reserved.

        Raises:
            TypeError: as ``append``.
            ValueError: as ``append``.
            JournalFailed: the journal is closed, dead, or could not write for too long.
        """

    async def take_over(self, record: Record) -> bool:
        """Become the owner of a run that goes on: whoever owned it can write nothing any more.

        One that is parked anyone may take over.

        Args:
            record: a ``run_resumed`` with the next ``epoch``, ``pid``, ``host`` and ``owner``.

        Returns:
            Whether it is ours: it is not over, it is parked or its process has lost it as
            ``ownership`` says by the store's clock, and nobody was faster.

        Raises:
            TypeError: as ``append``.
            ValueError: as ``append``.
            JournalFailed: the journal is closed, dead, or could not write for too long.
        """

    async def claim(self, run_id: str, op: str, epoch: int) -> Claimed:
        """Ask for a branch of a run, which another process may own; see ``branches``.

        Whoever had the branch can write nothing of it any more once it is somebody else's. While a
        process has one it keeps its lease, as for its own runs.

        Args:
            run_id: the run.
            op: the Delegation.
            epoch: the how-manieth owner of the run wants it done.

        Returns:
            ``Ours``, and then every record of it has to name its ``branch``, until ``leave`` ends
            that; ``Settled`` with its outcome; ``Held`` by a process that has not lost it; or
            ``Gone`` where nobody may work on it.

        Raises:
            JournalFailed: the journal is closed, dead, or could not write for too long.
        """

    async def leave(
        self, run_id: str, epoch: int, branch: Branch, *, is_settled: bool = False
    ) -> bool:
        """Be through with a branch, with or without its outcome: whoever claims it may go on.

        All that was appended before is committed when this returns, and nothing more is taken of
        this attempt. Does nothing where another has the branch already.

        Args:
            run_id: the run.
            epoch: the how-manieth owner of the run it was claimed of.
            branch: what the claim has given.
            is_settled: whether its outcome was appended. Nobody claims it then, so nothing more has
                to be noted of who has it.

        Returns:
            Whether it was this guest's until now, so that all that it has noted was taken.

        Raises:
            JournalFailed: the journal is closed, dead, or could not write for too long.
        """

    async def request(self, record: Record) -> bool:
        """Note what somebody asks of a run, or decides, who need not own it.

        This is the one way past the owner's fence, and only for records that change nothing by
        themselves: it is the owner who acts on them, or whoever owns the run next.

        Args:
            record: of a kind that ``KINDS`` says may be written by anyone.

        Returns:
            Whether it is noted: the run has begun, it is not over, and the step has no outcome yet.

        Raises:
            TypeError: as ``append``.
            ValueError: as ``append``, or the kind is no such one.
            JournalFailed: the journal is closed, dead, or could not write for too long.
        """

    async def park(self, record: Record, seen: int) -> bool:
        """Leave a run to whoever goes on with it: nobody is at work on it from now on.

        That and the requests of others are decided in the order of the records, so none is lost:
        either the owner hears of it, or whoever asked finds the run parked.

        Args:
            record: a ``run_waiting`` or ``run_paused`` of the run's owner.
            seen: the ``seq`` of the last request to it that its owner knows of.

        Returns:
            Whether it is parked; False when somebody has asked something since, or it is over.

        Raises:
            TypeError: as ``append``.
            ValueError: as ``append``.
            Fenced: another process has taken the run over.
            JournalFailed: the journal is closed, dead, or could not write for too long.
        """

    async def changed(self) -> bool:
        """Wait until requests may have come, at most about a second where nobody tells.

        One task of a process waits so for all of its runs, and only while there are any.

        Returns:
            Whether it is worth to look at ``requests``.

        Raises:
            JournalFailed: it cannot be read.
        """

    async def requests(self, run_ids: Collection[str] | None = None) -> list[Request]:
        """Return what people are asked, and what they have asked and decided.

        Args:
            run_ids: of which runs; None for all. Of runs that are over nothing is returned.

        Returns:
            The records by run, and by their order in it.

        Raises:
            JournalFailed: they cannot be read.
        """

    @property
    def holds_up(self) -> bool:
        """Whether ``room`` would wait, or raise, or ``check_owner`` for any run of this process.

        It is asked before each delegation, and says no nearly always.
        """

    async def room(self) -> None:
        """Wait while too many records wait for their commit, or none can be committed.

        It is the back-pressure before each step: what nobody can note does not begin. Nor does
        anything while the lease of this process was not renewed for two thirds of its time, see
        ``tenure``: when this returns, ``check_owner`` knows of a run that was taken over meanwhile.

        Raises:
            JournalFailed: the writer is dead, or could not write for too long.
        """

    async def flush(self) -> None:
        """Return when all that was appended before is committed.

        Raises:
            JournalFailed: the writer is dead, or could not write for too long.
        """

    def check_owner(self, run_id: str, epoch: int, branch: Branch | None = None) -> None:
        """Refuse an owner whose record was refused, as another process has taken the run over.

        Args:
            run_id: the run.
            epoch: the how-manieth owner it is, or that it works for.
            branch: what it has claimed; None for the owner.

        Raises:
            Fenced: it owns the run no more, or another has its branch.
        """

    async def close(self) -> None:
        """Flush, then let go of everything. A second call does nothing. Never hangs.

        Raises:
            JournalFailed: some records could not be written; the error says how many.
        """

    def statistics(self) -> JournalStatistics:
        """Return what was done so far."""

    async def run(self, run_id: str) -> RunRow | None:
        """Return a run, or None when no record of it is committed.

        Raises:
            JournalFailed: it cannot be read.
        """

    async def runs(self, *, limit: int = 20, status: RunStatus | None = None) -> list[RunRow]:
        """Return the newest runs, newest first.

        Args:
            limit: the most rows, at least 1.
            status: only runs that stand there.

        Raises:
            ValueError: the limit is below 1.
            JournalFailed: they cannot be read.
        """

    async def events(
        self, run_id: str, *, after: int = 0, limit: int = 1000, branch: str | None = None
    ) -> list[EventRow]:
        """Return a run's events in their order.

        Args:
            run_id: the run.
            after: only events with a greater ``seq``.
            limit: the most rows, at least 1.
            branch: only those of this step and of all below it, and of the run as a whole; None
                for all.

        Raises:
            ValueError: the limit is below 1.
            JournalFailed: they cannot be read.
        """

    async def outcome(self, run_id: str, op: str) -> EventRow | None:
        """Return the outcome of a step; None where it has none yet.

        Raises:
            JournalFailed: it cannot be read.
        """

    async def outcomes(self, run_id: str, op: str) -> list[EventRow]:
        """Return the outcomes of all steps below one, in any order.

        Raises:
            JournalFailed: they cannot be read.
        """

    async def calls(self, query: CallQuery) -> list[Filed]:
        """Return calls of the audit trail.

        Raises:
            ValueError: the limit is below 1.
            JournalFailed: they cannot be read.
        """

    async def balance(self, scope: Scope) -> Balance:
        """Return what an agent, provider or tenant has spent and reserved in some days.

        Raises:
            JournalFailed: it cannot be read.
        """

    async def answer(self, request_sha256: str, tenant: str, since: float) -> EventRow | None:
        """Return the newest ``invocation_completed`` of an equal question.

        Args:
            request_sha256: the digest of the question.
            tenant: for whom it was asked; empty for nobody.
            since: not one that was asked before this time, in seconds since the Unix epoch.

        Raises:
            JournalFailed: it cannot be read.
        """


def check_limit(limit: int) -> None:
    """Refuse a limit that would mean "all" or nothing.

    Raises:
        ValueError: it is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
