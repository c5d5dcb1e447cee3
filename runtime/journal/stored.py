"""A journal that one thread writes in groups, and that is read beside it, in whatever database.

An ``append`` is a few microseconds on the event loop. A ``flush`` costs one commit, which it
shares with everybody who flushes at the same moment.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

import anyio

from runtime.journal.backlog import Backlog
from runtime.journal.bell import Bell
from runtime.journal.branches import SETTLED, Claiming, Gone, Held, Leaving, Ours, Settled
from runtime.journal.entry import Parking, Right, encode, move, withdrawal
from runtime.journal.faults import JournalFailed, JournalUnusable, describe, fenced
from runtime.journal.ledger import Shortfall
from runtime.journal.liveness import steady_clock, this_process
from runtime.journal.reader import Reader
from runtime.journal.records import JournalStatistics
from runtime.journal.tenure import Tenure
from runtime.journal.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from runtime.journal.branches import Claimed
    from runtime.journal.entry import Entry, Verdict
    from runtime.journal.ledger import Balance, Claim, Scope
    from runtime.journal.location import Location
    from runtime.journal.query import CallQuery, Filed
    from runtime.journal.records import Branch, EventRow, Record, Request, RunRow, RunStatus
    from runtime.journal.writer import Store

_MOST_IDLE = 4  # connections of readers that are kept
_LOOK_S = 0.5  # between two looks at whether others have asked anything
_END_S = 5.0  # what the thread may still take when nothing is left to write


class StoredJournal:
    """A ``Journal`` in a database that several processes may share.

    ``append`` may be called from any thread, all else from the event loop that opened it.

    Args:
        location: where it is.
        open_store: opens the database for the writer, with the tenure that it keeps up to date;
            called in the writer's thread.
        silent: what to say when the database gives no answer at all.
        high_water: from how many waiting records on ``room`` makes its callers wait.
        give_up_s: how many seconds a group may wait for a writer that cannot write before
            ``room``, ``flush`` and ``close`` raise.
        lease_s: for how many seconds nobody takes a run over of whose process nothing is heard and
            nothing can be known.

    Raises:
        ValueError: an option has a value that makes no sense.
    """

    def __init__(
        self,
        location: Location,
        open_store: Callable[[Tenure], Store],
        *,
        silent: str,
        high_water: int,
        give_up_s: float,
        lease_s: float,
    ) -> None:
        if high_water < 1 or give_up_s <= 0 or lease_s <= 0:
            raise ValueError("high_water must be at least 1, give_up_s and lease_s above 0")
        self._location = location
        self._silent = silent
        self._backlog = Backlog()
        self._bell = Bell(lambda: self._writer.progress.settled, lambda: self._writer.ended)
        self._tenure = Tenure(str(this_process()), lease_s)
        self._writer = Writer(open_store, self._tenure, self._backlog, self._bell)
        self._reader = Reader.of(location, _MOST_IDLE)
        self._high_water = high_water
        self._low_water = max(1, high_water // 2)
        self._give_up_s = give_up_s
        self._closed = False
        self._ended = anyio.Event()

    async def _started(self) -> Self:
        """Start the writer, and return the journal once its database is open.

        Raises:
            JournalUnusable: it cannot be a journal; the error says what to do.
        """
        try:
            await self._start()
        except BaseException:
            self._backlog.close()  # a thread that opens its database after all then ends at once
            raise
        return self

    async def _start(self) -> None:
        self._writer.start()
        with anyio.move_on_after(self._give_up_s):
            await self._bell.until(self._writer.opened.done)
        if not self._writer.opened.done():
            raise JournalUnusable(
                f"journal {self._location}: {self._silent} for {self._give_up_s:g} s; end that"
                " process, or choose another with --db"
            )
        self._writer.opened.result()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._location} [{self.statistics()}]>"

    @property
    def _pending(self) -> int:
        return self._backlog.appended - self._writer.progress.settled

    def append(self, record: Record) -> None:
        """Take a record; see ``Journal``."""
        self._tenure.check(record.run_id, record.epoch, record.branch)
        self._backlog.put(encode(record))

    def check_owner(self, run_id: str, epoch: int, branch: Branch | None = None) -> None:
        """Refuse a former owner or guest; see ``Journal``."""
        self._tenure.check(run_id, epoch, branch)

    async def take_over(self, record: Record) -> bool:
        """Become the owner of a run that another has lost; see ``Journal``."""
        self._check_open()
        entry = encode(record, by=Right.NEW_OWNER)
        self._backlog.put(entry)
        await self._until(lambda: entry.verdict is not None)
        return entry.verdict == "taken"

    async def claim(self, run_id: str, op: str, epoch: int) -> Claimed:
        """Ask for a branch; see ``Journal``."""
        entry = move(run_id, op, epoch, Claiming())
        try:
            said = await self._moved(entry)
        except BaseException:
            with suppress(JournalFailed):  # closed: the next to claim it finds no lease
                self._backlog.put(move(run_id, op, epoch, Leaving(entry)))
            raise
        if isinstance(said, Ours | Held | Gone):
            return said
        outcome = await self.outcome(run_id, op) if said == SETTLED else None
        return Gone() if outcome is None else Settled(outcome)  # deleted

    async def leave(
        self, run_id: str, epoch: int, branch: Branch, *, is_settled: bool = False
    ) -> bool:
        """Leave a branch to others; see ``Journal``."""
        if is_settled:
            await self.flush()  # which notes it if the outcome was refused
            return self._tenure.lose_branch((run_id, branch.op), (epoch, branch.attempt))
        return await self._moved(move(run_id, branch.op, epoch, Leaving(branch))) == "noted"

    async def _moved(self, entry: Entry) -> Verdict:
        self._check_open()
        self._backlog.put(entry)
        await self.flush()  # what this process has is noted by then, not only decided
        return entry.verdict

    async def request(self, record: Record) -> bool:
        """Note what somebody asks of a run; see ``Journal``."""
        return await self._noted(encode(record, by=Right.ANYONE))

    async def park(self, record: Record, seen: int) -> bool:
        """Leave a run to whoever goes on with it; see ``Journal``."""
        self.check_owner(record.run_id, record.epoch)
        return await self._noted(encode(record, by=Parking(seen)))

    async def _noted(self, entry: Entry) -> bool:
        self._check_open()
        self._backlog.put(entry)
        await self._until(lambda: entry.verdict is not None)
        if entry.verdict == "fenced":
            raise fenced(entry.run_id)
        return entry.verdict == "noted"

    async def changed(self) -> bool:
        """Wait until it is time to look again; see ``Journal``."""
        await anyio.sleep(_LOOK_S)
        self._check_open()
        return True

    async def admit(self, record: Record, claims: tuple[Claim, ...]) -> Shortfall | None:
        """Take the beginning of a call if its worst case fits; see ``Journal``.

        A caller that is cancelled meanwhile has asked nobody: what it may have reserved is given
        back, in the order of the records.
        """
        self._check_open()
        entry = encode(record, claims)
        self._backlog.put(entry)
        try:
            await self._until(lambda: entry.verdict is not None)
        except BaseException:
            if record.kind == "invocation_started":  # else its end comes in any case
                with suppress(JournalFailed):  # closed: the next to open finds it
                    self._backlog.put(withdrawal(record))
            raise
        if entry.verdict == "fenced":
            raise fenced(record.run_id, record.branch)
        return entry.verdict if isinstance(entry.verdict, Shortfall) else None

    @property
    def holds_up(self) -> bool:
        """Whether there is anything to wait for, or to refuse; see ``Journal``."""
        writer = self._writer
        if self._closed or writer.ended or self._tenure.has_lost:
            return True
        if self._pending >= self._high_water:
            return True
        return not self._may_begin() or writer.stalled_s() >= self._give_up_s

    async def room(self) -> None:
        """Wait while ``high_water`` records wait, until less than half of it do.

        Also while the writer cannot write: what begins meanwhile might never be noted. And when the
        lease was not renewed in time, until the writer has found out what is still ours.
        """
        self._check_open()
        self._patience_left()
        if not self._may_begin():
            await self._until(self._may_begin)
        if self._pending < self._high_water:
            return
        await self._until(lambda: self._pending < self._low_water)

    def _may_begin(self) -> bool:
        if self._writer.error is not None:
            return False
        return self._tenure.may_begin(steady_clock()) or self._writer.ended

    async def flush(self) -> None:
        """Return when all that was appended before is committed; see ``Journal``."""
        self._check_open()
        await self._until_settled(self._backlog.appended)

    async def _until_settled(self, count: int) -> None:
        while self._writer.progress.settled < count:
            await self._bell.at(count, self._patience_left())

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            with anyio.move_on_after(self._patience_left()):
                await self._bell.until(lambda: reached() or self._writer.ended)

    def _patience_left(self) -> float:
        left = self._give_up_s - self._writer.stalled_s()
        if left <= 0 or (self._writer.ended and self._pending):
            raise self._failure() from self._writer.error
        return left

    def _failure(self) -> JournalFailed:
        if self._writer.error is not None:
            why = describe(self._location, self._writer.error)
        else:
            why = f"journal {self._location}: {self._silent}, or it is very slow"
        return JournalFailed(f"{why} ({self._pending} records are not committed)")

    async def close(self) -> None:
        """Flush, stop the writer, let go of the database; see ``Journal``.

        A cancelled caller still gets all this: every wait in it is bounded.
        """
        with anyio.CancelScope(shield=True):
            if self._closed:
                await self._ended.wait()
                return
            self._closed = True
            self._backlog.close()
            with suppress(JournalFailed):
                await self._until_settled(self._backlog.appended)
            self._writer.stop()
            with anyio.move_on_after(min(_END_S, self._give_up_s)):
                await self._bell.until(lambda: self._writer.ended)
            await self._reader.close()
            self._ended.set()
            if self._pending:
                raise self._failure() from self._writer.error

    def statistics(self) -> JournalStatistics:
        """Return what was done so far; see ``Journal``."""
        done, error = self._writer.progress, self._writer.error
        appended = self._backlog.appended
        return JournalStatistics(
            appended=appended,
            committed=done.settled - done.refused,
            refused=done.refused,
            pending=appended - done.settled,
            batches=done.batches,
            largest_batch=done.largest_batch,
            bytes_written=done.bytes_written,
            failed=None if error is None else describe(self._location, error),
        )

    async def run(self, run_id: str) -> RunRow | None:
        """Return a run; see ``Journal``."""
        self._check_open()
        return await self._reader.run(run_id)

    async def runs(self, *, limit: int = 20, status: RunStatus | None = None) -> list[RunRow]:
        """Return the newest runs; see ``Journal``."""
        self._check_open()
        return await self._reader.runs(limit, status)

    async def events(
        self, run_id: str, *, after: int = 0, limit: int = 1000, branch: str | None = None
    ) -> list[EventRow]:
        """Return a run's events; see ``Journal``."""
        self._check_open()
        return await self._reader.events(run_id, after, limit, branch)

    async def outcome(self, run_id: str, op: str) -> EventRow | None:
        """Return the outcome of a step; see ``Journal``."""
        self._check_open()
        return await self._reader.outcome(run_id, op)

    async def outcomes(self, run_id: str, op: str) -> list[EventRow]:
        """Return the outcomes of the steps below one; see ``Journal``."""
        self._check_open()
        return await self._reader.outcomes(run_id, op)

    async def requests(self, run_ids: Collection[str] | None = None) -> list[Request]:
        """Return what people are asked and ask; see ``Journal``."""
        self._check_open()
        return await self._reader.requests(run_ids)

    async def calls(self, query: CallQuery) -> list[Filed]:
        """Return calls of the audit trail; see ``Journal``."""
        self._check_open()
        return await self._reader.calls(query)

    async def balance(self, scope: Scope) -> Balance:
        """Return what a scope has spent and reserved; see ``Journal``."""
        self._check_open()
        return await self._reader.balance(scope)

    async def answer(self, request_sha256: str, tenant: str, since: float) -> EventRow | None:
        """Return the newest answer to an equal question; see ``Journal``."""
        self._check_open()
        return await self._reader.answer(request_sha256, tenant, since)

    def _check_open(self) -> None:
        if self._closed:
            raise JournalFailed("the journal is closed")
