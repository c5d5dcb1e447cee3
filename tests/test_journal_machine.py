"""Journal and resume as one state machine: whatever happens, in any order, their promises hold.

The model is the journal in memory, which gets the same records. A crash is a copy of the file and
its log, taken while their writer is stalled or idle; a take-over is a second writer on the file.
``JOURNAL_EXAMPLES`` says how many histories are tried; CI tries a few.
"""

from __future__ import annotations

import asyncio  # noqa: TID251  # rules are plain functions, and share one event loop
import os
import shutil
import socket
import sqlite3
import tempfile
from collections import Counter
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from runtime.journal import KINDS, Fenced, MemoryJournal, Record, Scope, SqliteJournal
from runtime.journal.lock import FileLock
from runtime.journal.over import Selection
from runtime.journal.vacuum import vacuum
from runtime.recorded import Recorded
from tests.interrupted import dead_pid

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from runtime.journal import EventRow, Journal, Kind, RunRow

EXAMPLES = int(os.environ.get("JOURNAL_EXAMPLES", "25"))
MOST_RUNS = 3
QUICK = (Phase.reuse, Phase.generate)  # a failure is told at once, as it was found
T = TypeVar("T")
DEAD = {"pid": dead_pid(), "host": socket.gethostname()}
EVER = Scope("agent", "a", "1970-01-01", "2970-01-01")
RESERVED = 30
BEGAN = datetime.now(UTC).timestamp()

pytestmark = pytest.mark.real_time
costs = st.integers(min_value=0, max_value=RESERVED)


class Run:
    """What the machine knows of a run.

    Attributes:
        name: its id.
        epoch: the epoch of its owner.
        is_owned: whether the writer of now is that owner.
        is_over: whether it has ended.
        steps: how many it has begun.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = 1
        self.is_owned = True
        self.is_over = False
        self.steps = 0

    def __repr__(self) -> str:
        return f"<Run {self.name} {self.epoch}>"


class JournalMachine(RuleBasedStateMachine):
    """One history."""

    runs = Bundle("runs")
    calls = Bundle("calls")
    skills = Bundle("skills")
    sent = Bundle("sent")
    done = Bundle("done")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.loop = self.stack.enter_context(asyncio.Runner())
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.generation = 0
        self.known: list[Run] = []
        self.log: list[Record] = []
        self.flushed = 0
        self.model = MemoryJournal()
        self.zombie: SqliteJournal | None = None
        self.zombie_knows: dict[str, int] = {}
        self.swept = 0
        self.stalled: FileLock | None = None
        self.open_journals: list[SqliteJournal] = []
        self.journal = self.opened()

    # --- what the rules are made of --------------------------------------------------------------

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(coroutine)

    @property
    def path(self) -> Path:
        return self.folder / f"{self.generation}" / "journal.db"

    def opened(self) -> SqliteJournal:
        async def open_it() -> SqliteJournal:
            return await SqliteJournal.open(
                self.path, synchronous="normal", checkpoint_bytes=40_000
            )

        journal: SqliteJournal = self.wait(open_it())
        self.open_journals.append(journal)
        return journal

    def write(self, run: Run, kind: Kind, op: str, cost: int = 0, **body: Any) -> None:
        record = Record(run.name, kind, op, body, BEGAN + len(self.log), cost, epoch=run.epoch)
        if kind == "invocation_started" and self.stalled is None:
            assert self.wait(self.journal.admit(record, ())) is None
        else:
            self.journal.append(record)
        self.model.append(record)
        self.log.append(record)

    def flush(self) -> None:
        self.go_on()
        self.wait(self.journal.flush())
        self.flushed = len(self.log)

    def go_on(self) -> None:
        """Let the writer write again."""
        if self.stalled is not None:
            self.stalled.__exit__()
            self.stalled.close()
            self.stalled = None

    def lose_all(self) -> None:
        """No process is left that knows what is in flight."""
        for run in self.known:
            run.is_owned = False

    def rebuild(self, kept: int) -> None:
        """Make the model of the first records."""
        self.log = self.log[:kept]
        self.model = MemoryJournal()
        for record in self.log:
            if record.kind == "run_resumed":
                assert self.wait(self.model.take_over(record))
            else:
                self.model.append(record)
        for run in self.known:
            row = self.wait(self.model.run(run.name))
            run.is_over = row is None or row.status != "running"
            run.epoch = 1 if row is None else row.epoch

    # --- rules: a process at work ----------------------------------------------------------------

    @rule(target=runs)
    def start(self) -> Any:
        if sum(not run.is_over for run in self.known) >= MOST_RUNS:
            return multiple()
        run = Run(f"run-{len(self.known)}")
        self.known.append(run)
        self.write(run, "run_started", "", target="t", agent="a", input=None, **DEAD)
        return run

    def works(self, run: Run) -> bool:
        return run.is_owned and not run.is_over

    @rule(target=calls, run=runs)
    def begin_call(self, run: Run) -> Any:
        if not self.works(run):
            return multiple()
        run.steps += 1
        op = f"a:1/chat:{run.steps}"
        self.ask(run, op)
        return (run, op, run.epoch)

    def ask(self, run: Run, op: str) -> None:
        self.write(run, "invocation_started", op, agent="a", reserved_nano_usd=RESERVED)

    def is_mine(self, step: tuple[Run, str, int]) -> bool:
        return self.works(step[0]) and step[0].epoch == step[2]

    @rule(step=calls)
    def retry_call(self, step: tuple[Run, str, int]) -> None:
        if self.is_mine(step):
            self.write(step[0], "invocation_retried", step[1], reserved_nano_usd=RESERVED)

    @rule(target=done, step=consumes(calls), cost=costs, fails=st.booleans())
    def end_call(self, step: tuple[Run, str, int], cost: int, fails: bool) -> Any:
        if not self.is_mine(step):
            return multiple()
        run, op, _ = step
        usage = {"input_tokens": 3, "output_tokens": 4}
        if fails:
            said: dict[str, Any] = {"error": "e", "error_class": "X", "reason": "x"}
            self.write(run, "invocation_failed", op, **said, settled_nano_usd=0)
        else:
            self.write(run, "invocation_completed", op, cost, usage=usage, settled_nano_usd=cost)
        return (run, op)

    @rule(target=skills, run=runs)
    def begin_skill(self, run: Run) -> Any:
        return self.begin(run, "skill_started", "look")

    @rule(target=done, step=consumes(skills), fails=st.booleans())
    def end_skill(self, step: tuple[Run, str, int], fails: bool) -> Any:
        return self.end(step, "skill_failed" if fails else "skill_completed")

    @rule(target=sent, run=runs)
    def delegate(self, run: Run) -> Any:
        return self.begin(run, "delegation_sent", "b")

    @rule(target=done, step=consumes(sent), fails=st.booleans())
    def answer(self, step: tuple[Run, str, int], fails: bool) -> Any:
        return self.end(step, "delegation_failed" if fails else "delegation_completed")

    def begin(self, run: Run, kind: Kind, name: str) -> Any:
        if not self.works(run):
            return multiple()
        run.steps += 1
        op = f"a:1/{name}:{run.steps}"
        self.write(run, kind, op, agent=name)
        return (run, op, run.epoch)

    def end(self, step: tuple[Run, str, int], kind: Kind) -> Any:
        if not self.is_mine(step):
            return multiple()
        self.write(step[0], kind, step[1], output=1, error="e")
        return step[:2]

    @rule(run=runs, size=st.sampled_from([10, 3_000, 70_000]))
    def note(self, run: Run, size: int) -> None:
        if self.works(run):
            self.write(run, "log", "a:1", event="e", text="x" * size)

    @rule(step=done)
    def end_a_step_once_more(self, step: tuple[Run, str]) -> None:
        """The journal refuses it, and tells nobody else."""
        if self.works(step[0]):
            self.write(step[0], "skill_completed", step[1], output=2)

    @rule(run=runs, kind=st.sampled_from(["run_completed", "run_failed", "run_cancelled"]))
    def finish(self, run: Run, kind: Kind) -> None:
        if self.works(run):
            self.write(run, kind, "", output=1, error="e", reason="r")
            run.is_over = True

    @rule(run=runs)
    def end_it_once_more(self, run: Run) -> None:
        if run.is_owned and run.is_over and self.wait(self.model.run(run.name)):
            self.write(run, "run_cancelled", "", error="e", reason="late")

    # --- rules: crashes, owners, brooms ----------------------------------------------------------

    @rule()
    def crash(self) -> None:
        """The process dies, with what it had not written yet."""
        if self.stalled is None:
            self.flush()
        former = self.path
        self.generation += 1
        self.path.parent.mkdir()
        shutil.copy(former, self.path)
        with suppress(FileNotFoundError):
            shutil.copy(f"{former}-wal", f"{self.path}-wal")
        self.go_on()
        self.journal = self.opened()
        self.zombie = None
        with closing(sqlite3.connect(self.path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found = connection.execute("SELECT run_id, seq FROM journal").fetchall()
        assert Counter(name for name, _ in found) == self.counts(self.flushed)
        self.rebuild(self.flushed)
        self.lose_all()
        self.check()

    @precondition(lambda self: self.stalled is None)
    @rule()
    def stall(self) -> None:
        """Nothing more gets to the disk."""
        self.flush()
        self.stalled = FileLock(self.path.with_name("journal.db-lock"))
        self.stalled.__enter__()

    def counts(self, kept: int) -> Counter[str]:
        """Return the number of records that each run has of the first ones, vacuumed or not."""
        outcomes: set[tuple[str, str]] = set()
        counts: Counter[str] = Counter()
        for record in self.log[:kept]:
            key = record.run_id, record.op
            if KINDS[record.kind].terminal:
                if key in outcomes:
                    continue
                outcomes.add(key)
            counts[record.run_id] += 1
        return counts

    @rule()
    def second_process(self) -> None:
        """Another process opens the file, and the first lives on without knowing."""
        self.flush()
        self.zombie = self.journal
        self.zombie_knows = {run.name: run.epoch for run in self.known if self.works(run)}
        self.journal = self.opened()
        self.lose_all()

    @rule(target=calls, run=runs)
    def take_over(self, run: Run) -> Any:
        """Own a run that nobody owns, and begin once more what was in flight."""
        self.flush()
        if run.is_owned or run.is_over:
            return multiple()
        wrong = self.resumed(run, run.epoch + 2)
        assert self.wait(self.journal.take_over(wrong)) is False
        record = self.resumed(run, run.epoch + 1)
        assert self.wait(self.journal.take_over(record)) is True
        assert self.wait(self.model.take_over(record)) is True
        run.epoch, run.is_owned = record.epoch, True
        self.log.append(record)
        self.flushed = len(self.log)
        again = [op for op in self.in_flight(run) if "/chat:" in op]
        for op in again:
            self.ask(run, op)
        self.check()
        return multiple(*((run, op, run.epoch) for op in again))

    def resumed(self, run: Run, epoch: int) -> Record:
        body = {**DEAD, "epoch": epoch}
        at = BEGAN + len(self.log)
        return Record(run.name, "run_resumed", f"resumed:{epoch}", body, at, epoch=epoch)

    def in_flight(self, run: Run) -> list[str]:
        """Return what a resumed run does once more: all that is done is answered to its code."""
        events = self.events(self.journal, run)
        recorded = Recorded(events)
        ended = {event.op for event in events if KINDS[event.kind].terminal}
        begun = {event.op for event in events if event.kind.endswith(("_started", "_sent"))}
        assert all(recorded.outcome(op) is not None for op in ended)
        assert set(recorded.in_flight()) == begun - ended - {""}
        settled = sum(event.body.get("settled_nano_usd", 0) for event in events)
        lost = sum(event.body.get("reserved_nano_usd", 0) for event in events)
        assert settled <= recorded.spent <= settled + lost
        return recorded.in_flight()

    @precondition(lambda self: self.zombie is not None)
    @rule(run=runs)
    def former_owner_writes(self, run: Run) -> None:
        epoch = self.zombie_knows.get(run.name)
        if epoch is None or epoch >= run.epoch:
            return  # it was never its owner, or still is
        zombie = self.zombie
        assert zombie is not None
        self.flush()
        before = self.events(self.journal, run)
        record = Record(run.name, "log", "a:1", {"event": "late"}, BEGAN, epoch=epoch)
        with suppress(Fenced):
            zombie.append(record)
            self.wait(zombie.flush())
        with pytest.raises(Fenced):
            zombie.append(record)
        begun = {"agent": "a", "reserved_nano_usd": 1}
        late = Record(run.name, "invocation_started", "late", begun, BEGAN, epoch=epoch)
        with pytest.raises(Fenced):
            self.wait(zombie.admit(late, ()))
        assert self.events(self.journal, run)[: len(before)] == before
        self.check()

    @precondition(lambda self: any(run.is_over for run in self.known))
    @rule()
    def sweep(self) -> None:
        """Runs that are over are deleted; what they cost stays counted."""
        self.flush()
        money = sum(self.balance(self.journal))
        vacuum(self.path, [Selection(before=BEGAN + 1e6)], datetime.now(UTC))
        gone = {
            run.name
            for run in self.known
            if run.is_over and self.wait(self.journal.run(run.name)) is None
        }
        assert sum(self.balance(self.journal)) == money
        self.log = [record for record in self.log if record.run_id not in gone]
        self.rebuild(len(self.log))
        self.swept = money - sum(self.balance(self.model))
        self.check()

    # --- what always holds -----------------------------------------------------------------------

    def events(self, journal: Journal, run: Run) -> list[EventRow]:
        async def read() -> list[EventRow]:
            return await journal.events(run.name, limit=10_000)

        return self.wait(read())

    def balance(self, journal: Journal) -> tuple[int, int]:
        spent, reserved = self.wait(journal.balance(EVER))
        return spent, reserved

    @rule()
    def check(self) -> None:
        """File and memory are the same, once all is written."""
        self.flush()
        assert sum(self.balance(self.journal)) == sum(self.balance(self.model)) + self.swept
        for run in self.known:
            row: RunRow | None = self.wait(self.journal.run(run.name))
            assert row == self.wait(self.model.run(run.name))
            events = self.events(self.journal, run)
            assert events == self.events(self.model, run)
            if row is not None:
                check_run(row, events)

    def teardown(self) -> None:
        try:
            self.check()
        finally:
            for journal in self.open_journals:
                self.wait(journal.close())
            self.stack.close()


def check_run(row: RunRow, events: list[EventRow]) -> None:
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    outcomes = Counter(event.op for event in events if KINDS[event.kind].terminal)
    assert all(count == 1 for count in outcomes.values())
    kinds = Counter(event.kind for event in events)
    assert kinds["run_started"] == 1
    assert outcomes[""] == (row.status != "running")
    assert row.epoch == 1 + kinds["run_resumed"]
    epochs = [event.body["epoch"] for event in events if event.kind == "run_resumed"]
    assert epochs == list(range(2, row.epoch + 1))
    assert row.calls == kinds["invocation_completed"] + kinds["invocation_failed"]
    assert row.cost_nano_usd == sum(event.cost_nano_usd for event in events)


def test_whatever_happens_the_promises_of_journal_and_resume_hold() -> None:
    run_state_machine_as_test(
        JournalMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=tuple(Phase) if "JOURNAL_EXAMPLES" in os.environ else QUICK,
        ),
    )
