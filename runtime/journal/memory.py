"""A journal without a file: for tests, and for ``--db :memory:``.

It behaves as the durable ones do, the encoding of bodies and the refusals included, but for two
things: a record is committed at once, and everything is kept until the process ends. A process
that runs for weeks wants a file.
"""

from __future__ import annotations

import heapq
import json
import threading
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import anyio

from runtime.identity import wall_clock
from runtime.journal.branches import Gone, Held, Ours, Settled
from runtime.journal.entry import Parking, Right, encode
from runtime.journal.faults import JournalFailed, fenced, report_refusal
from runtime.journal.fold import RunState
from runtime.journal.liveness import is_lost
from runtime.journal.memory_branches import MemoryBranches
from runtime.journal.memory_calls import MemoryCalls
from runtime.journal.protocol import check_limit
from runtime.journal.records import OF_THE_RUN, REQUESTS, EventRow, JournalStatistics, Request

if TYPE_CHECKING:
    from collections.abc import Collection

    from runtime.journal.branches import Claimed
    from runtime.journal.entry import Entry
    from runtime.journal.ledger import Balance, Claim, Scope, Shortfall
    from runtime.journal.query import CallQuery, Filed
    from runtime.journal.records import Branch, Record, RunRow, RunStatus


@dataclass(slots=True)
class _Run:
    state: RunState
    entries: list[Entry] = field(default_factory=list)
    outcomes: set[str] = field(default_factory=set)

    def accepts(self, entry: Entry) -> bool:
        return not entry.terminal or entry.op not in self.outcomes

    def add(self, entry: Entry) -> None:
        self.state.take(entry.at, entry.facts)
        self.entries.append(entry)
        if entry.terminal:
            self.outcomes.add(entry.op)

    def event(self, seq: int) -> EventRow:
        entry = self.entries[seq - 1]
        return EventRow(seq, entry.at, entry.kind, entry.op, self.body(seq), entry.cost_nano_usd)

    def outcome(self, op: str) -> EventRow:
        """Return the record that ended a step."""
        found = (n for n, entry in enumerate(self.entries, 1) if entry.terminal and entry.op == op)
        return self.event(next(found))

    def body(self, seq: int | None) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.entries[seq - 1].text) if seq else {}
        return body

    def row(self) -> RunRow:
        return self.state.row(self.body(self.state.started_seq), self.body(self.state.ended_seq))


class MemoryJournal:
    """A ``Journal`` that keeps every record of this process in memory.

    Attributes:
        leases: until when other processes have what is theirs; this one needs none, as what it
            owns here is gone when it is.
        branches: who has which.
    """

    def __init__(self) -> None:
        self.leases: dict[str, float] = {}
        self.branches = MemoryBranches(self.leases)
        self._runs: dict[str, _Run] = {}
        self._calls = MemoryCalls()
        self._lock = threading.Lock()
        self._committed = self._refused = self._bytes = 0
        self._closed = False
        self._is_asked = False
        self._bell: anyio.Event | None = None

    def __repr__(self) -> str:
        return f"<MemoryJournal [{self.statistics()}]>"

    def append(self, record: Record) -> None:
        """Take a record; see ``Journal``."""
        self._check_open()
        entry = encode(record)
        with self._lock:
            self.check_owner(entry.run_id, entry.epoch, record.branch)
            self._take(entry)

    async def take_over(self, record: Record) -> bool:
        """Become the owner of a run that another has lost; see ``Journal``."""
        self._check_open()
        entry = encode(record, by=Right.NEW_OWNER)
        with self._lock:
            run = self._runs.get(entry.run_id)
            state = None if run is None else run.state
            if state is None or not state.may_be_taken(entry.epoch):
                return False
            if not (state.is_parked or state.is_of(entry.facts) or self._is_lost(state)):
                return False
            self._take(entry)
            return True

    async def claim(self, run_id: str, op: str, epoch: int) -> Claimed:
        """Ask for a branch; see ``Journal``."""
        self._check_open()
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                return Gone()
            is_settled = op in run.outcomes
            said = self.branches.claim(run.state, op, epoch, is_settled=is_settled)
            return said if isinstance(said, Ours | Held | Gone) else Settled(run.outcome(op))

    async def leave(
        self, run_id: str, epoch: int, branch: Branch, *, is_settled: bool = False
    ) -> bool:
        """Leave a branch to others; see ``Journal``."""
        del is_settled  # to note who has it costs nothing here
        self._check_open()
        with self._lock:
            run = self._runs.get(run_id)
            was_ours = self.branches.leave(run_id, epoch, branch)
            return was_ours and run is not None and not run.state.is_fenced(epoch)

    async def request(self, record: Record) -> bool:
        """Note what somebody asks of a run; see ``Journal``."""
        self._check_open()
        entry = encode(record, by=Right.ANYONE)
        with self._lock:
            run = self._runs.get(entry.run_id)
            if run is None or not run.state.may_be_asked() or not run.accepts(entry):
                return False
            self._take(entry)
        self._is_asked = True
        if self._bell is not None:
            self._bell.set()
        return True

    async def park(self, record: Record, seen: int) -> bool:
        """Leave a run to whoever goes on with it; see ``Journal``."""
        self._check_open()
        entry = encode(record, by=Parking(seen))
        with self._lock:
            self.check_owner(entry.run_id, entry.epoch)
            run = self._runs[entry.run_id]
            if not run.state.may_park(seen):
                return False
            self._take(entry)
        return True

    async def changed(self) -> bool:
        """Wait until somebody asks something; see ``Journal``."""
        while not self._is_asked:
            self._check_open()
            self._bell = anyio.Event()
            await self._bell.wait()
        self._is_asked = False
        return True

    async def requests(self, run_ids: Collection[str] | None = None) -> list[Request]:
        """Return what people are asked and ask; see ``Journal``."""
        self._check_open()
        with self._lock:
            wanted = sorted(self._runs if run_ids is None else self._runs.keys() & set(run_ids))
            found = (self._runs[run_id] for run_id in wanted)
            return [
                Request(run.state.run_id, run.event(seq))
                for run in found
                if not run.state.is_over
                for seq, entry in enumerate(run.entries, 1)
                if entry.kind in REQUESTS
            ]

    def _is_lost(self, state: RunState) -> bool:
        held_until = self.leases.get(state.owner or "")
        return is_lost(wall_clock(), state.owner, state.pid, state.host, held_until)

    def check_owner(self, run_id: str, epoch: int, branch: Branch | None = None) -> None:
        """Refuse a former owner or guest; see ``Journal``."""
        run = self._runs.get(run_id)
        if run is not None and run.state.is_fenced(epoch):
            raise fenced(run_id)
        if branch is not None and not self.branches.has(run_id, epoch, branch):
            raise fenced(run_id, branch)

    async def admit(self, record: Record, claims: tuple[Claim, ...]) -> Shortfall | None:
        """Take the beginning of a call if its worst case fits; see ``Journal``."""
        self._check_open()
        entry = encode(record, claims)
        with self._lock:
            self.check_owner(entry.run_id, entry.epoch, record.branch)
            short = self._calls.shortfall(entry)
            if short is None:
                self._take(entry)
        return short

    def _take(self, entry: Entry) -> None:
        run = self._runs.get(entry.run_id)
        if run is None:
            run = self._runs[entry.run_id] = _Run(RunState.first(entry.run_id, entry.at))
        if accepted := run.accepts(entry):
            run.add(entry)
            self._calls.take(entry)
        self._count(entry, accepted)

    def _count(self, entry: Entry, accepted: bool) -> None:
        if accepted:
            self._committed += 1
            self._bytes += entry.size
        else:
            self._refused += 1
            report_refusal(entry)

    @property
    def holds_up(self) -> bool:
        """Whether it is closed; see ``Journal``."""
        return self._closed

    async def room(self) -> None:
        """Return at once: nothing waits here."""
        self._check_open()

    async def flush(self) -> None:
        """Return at once: nothing waits here."""
        self._check_open()

    async def close(self) -> None:
        """End it; see ``Journal``."""
        self._closed = True
        if self._bell is not None:
            self._bell.set()

    def statistics(self) -> JournalStatistics:
        """Return what was done so far; each record is a batch of its own."""
        return JournalStatistics(
            appended=self._committed + self._refused,
            committed=self._committed,
            refused=self._refused,
            batches=self._committed,
            largest_batch=min(self._committed, 1),
            bytes_written=self._bytes,
        )

    async def run(self, run_id: str) -> RunRow | None:
        """Return a run; see ``Journal``."""
        self._check_open()
        with self._lock:
            run = self._runs.get(run_id)
            return run.row() if run else None

    async def runs(self, *, limit: int = 20, status: RunStatus | None = None) -> list[RunRow]:
        """Return the newest runs; see ``Journal``."""
        self._check_open()
        check_limit(limit)
        with self._lock:
            wanted = (run for run in self._runs.values() if status in (None, run.state.status))
            newest = heapq.nlargest(limit, wanted, key=_age)
            return [run.row() for run in newest]

    async def events(
        self, run_id: str, *, after: int = 0, limit: int = 1000, branch: str | None = None
    ) -> list[EventRow]:
        """Return a run's events; see ``Journal``."""
        self._check_open()
        check_limit(limit)
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                return []
            wanted = (
                seq
                for seq in range(max(after, 0) + 1, run.state.next_seq)
                if branch is None or _is_of(run.entries[seq - 1], branch)
            )
            return [run.event(seq) for seq in islice(wanted, limit)]

    async def outcome(self, run_id: str, op: str) -> EventRow | None:
        """Return the outcome of a step; see ``Journal``."""
        self._check_open()
        with self._lock:
            run = self._runs.get(run_id)
            return run.outcome(op) if run and op in run.outcomes else None

    async def outcomes(self, run_id: str, op: str) -> list[EventRow]:
        """Return the outcomes of the steps below one; see ``Journal``."""
        self._check_open()
        with self._lock:
            run = self._runs.get(run_id)
            numbered = enumerate(() if run is None else run.entries, 1)
            return [
                run.event(seq)
                for seq, entry in numbered
                if run and entry.terminal and entry.op.startswith(f"{op}/")
            ]

    async def calls(self, query: CallQuery) -> list[Filed]:
        """Return calls of the audit trail; see ``Journal``."""
        self._check_open()
        check_limit(query.limit)
        with self._lock:
            return self._calls.find(query, lambda run_id: self._runs[run_id].state.target)

    async def balance(self, scope: Scope) -> Balance:
        """Return what a scope has spent and reserved; see ``Journal``."""
        self._check_open()
        with self._lock:
            return self._calls.balance(scope)

    async def answer(self, request_sha256: str, tenant: str, since: float) -> EventRow | None:
        """Return the newest answer to an equal question; see ``Journal``."""
        self._check_open()
        with self._lock:
            call = self._calls.answered(request_sha256, tenant, since)
            return None if call is None else self._runs[call.run_id].outcome(call.op)

    def _check_open(self) -> None:
        if self._closed:
            raise JournalFailed("the journal is closed")


def _age(run: _Run) -> tuple[float, str]:
    return run.state.started_at, run.state.run_id


def _is_of(entry: Entry, branch: str) -> bool:
    """Whether a record is of a step, or below it, or of the run as a whole."""
    op = entry.op
    return op == branch or op.startswith(f"{branch}/") or entry.kind in OF_THE_RUN
