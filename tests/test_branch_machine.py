"""Many processes want the branches of one run: whatever happens, one at a time writes each.

The processes are journals of one database, each with an identity of its own that nobody here can
know anything of, so their leases alone decide. ``JOURNAL_EXAMPLES`` says how many histories are
tried; CI tries a few.
"""

from __future__ import annotations

import asyncio  # noqa: TID251  # rules are plain functions, and share one event loop
import itertools
import os
import random
import tempfile
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from unittest import mock

import anyio
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    multiple,
    rule,
    run_state_machine_as_test,
)

from runtime.journal import (
    KINDS,
    Branch,
    Fenced,
    Gone,
    Held,
    JournalFailed,
    Ours,
    Record,
    Settled,
    stored,
)
from runtime.journal.ownership import ProcessIdentity
from runtime.journal.stored import StoredJournal
from tests.stores import SHARED, lend, open_at, place

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from runtime.journal import Claimed, EventRow, Kind

EXAMPLES = int(os.environ.get("JOURNAL_EXAMPLES", "15"))
QUICK = (Phase.reuse, Phase.generate)  # a failure is told at once, as it was found
LEASE_S = 3_600.0
LONG_AGO = -1e9
OPS = ("boss:1/a:1", "boss:1/a:1/b:1", *(f"boss:1/c:{n}" for n in range(6)))  # one below another
GUESTS = st.integers(min_value=0, max_value=2)
SELDOM = st.integers(min_value=0, max_value=4)  # what is seldom happens by 0 alone
T = TypeVar("T")

pytestmark = pytest.mark.real_time


def stranger(number: int) -> ProcessIdentity:
    """Return a process of another machine."""
    return ProcessIdentity(f"machine-{number}", number, 1, "pid:[1]", "a boot", "a machine")


async def opened(where: str, who: ProcessIdentity) -> StoredJournal:
    """Open a journal as another process would."""
    with mock.patch.object(stored, "this_process", return_value=who):
        journal = await open_at(where, lease_s=LEASE_S)
    assert isinstance(journal, StoredJournal)
    return journal


def begun(owner: ProcessIdentity) -> Record:
    body = {"target": "t", "pid": owner.pid, "host": owner.host, "owner": str(owner)}
    return Record("run", "run_started", "", body, 1.0)


@dataclass
class Process:
    """A process as the machine knows it.

    Attributes:
        who: its identity.
        journal: what it writes.
        believes: whether it has asked for a lease, and believes that it is good.
        has_lease: whether it is.
        is_gone: whether it has ended.
    """

    who: ProcessIdentity
    journal: StoredJournal
    believes: bool = False
    has_lease: bool = False
    is_gone: bool = False


@dataclass
class Place:
    """A branch as the machine knows it.

    Attributes:
        op: its operation.
        epoch: the run's when it was claimed last.
        attempt: how often it was claimed.
        holder: who has it.
        is_settled: whether it has its outcome.
    """

    op: str
    epoch: int = 0
    attempt: int = 0
    holder: Process | None = None
    is_settled: bool = False


@dataclass(frozen=True)
class Guest:
    """What a process was given by a claim, which it may have no more."""

    process: Process
    place: Place
    epoch: int
    branch: Branch


class BranchMachine(RuleBasedStateMachine):
    """One history."""

    store: ClassVar[str]
    guests = Bundle("guests")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.loop = self.stack.enter_context(asyncio.Runner())
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.where = self.stack.enter_context(place(self.store, folder))
        self.numbers = itertools.count(1)
        self.home = self.process()
        self.processes = [self.process() for _ in range(3)]
        self.places = {op: Place(op) for op in OPS}
        self.given: list[Guest] = []
        self.written = ["run_started"]
        self.epoch, self.is_parked, self.is_over = 1, False, False
        self.home.journal.append(begun(self.home.who))
        self.wait(self.home.journal.flush())

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(coroutine)

    def process(self) -> Process:
        who = stranger(next(self.numbers))
        return Process(who, self.wait(opened(self.where, who)))

    # --- guests ----------------------------------------------------------------------------------

    @rule(target=guests, number=GUESTS, op=st.sampled_from(OPS), is_late=st.booleans())
    def claim(self, number: int, op: str, is_late: bool) -> Any:
        process, at = self.processes[number], self.places[op]
        epoch = self.epoch - (is_late and self.epoch > 1)
        expected = self.expected(at, epoch)
        said = self.wait(process.journal.claim("run", op, epoch))
        self.renew(process)
        assert isinstance(said, expected)
        if isinstance(said, Settled):
            assert said.outcome.op == op
        if isinstance(said, Held):
            assert at.holder is not None
            assert said.owner == str(at.holder.who)
        if not isinstance(said, Ours):
            return multiple()
        at.holder, at.epoch, at.attempt = process, epoch, at.attempt + 1
        assert said.branch == Branch(op, at.attempt)
        guest = Guest(process, at, epoch, said.branch)
        self.given.append(guest)
        return guest

    def expected(self, at: Place, epoch: int) -> type[Claimed]:
        """Return what a claim must come to."""
        if at.is_settled:
            return Settled
        if self.is_over or self.is_parked or epoch != self.epoch:
            return Gone
        is_held = at.holder is not None and at.holder.has_lease and at.epoch == epoch
        return Held if is_held else Ours

    def renew(self, process: Process) -> None:
        """A process has committed something that it needs a lease for."""
        if not process.believes:
            process.believes = process.has_lease = True

    def has_it(self, guest: Guest) -> bool:
        """Whether a guest still has its branch, and can write."""
        at = guest.place
        if guest.process.is_gone:
            return False
        is_last = (at.epoch, at.attempt) == (guest.epoch, guest.branch.attempt)
        return is_last and at.holder is guest.process and at.epoch == self.epoch

    def write(self, guest: Guest, kind: Kind, op: str) -> bool:
        """Write as a guest, and return whether it still had its branch."""
        journal, note = guest.process.journal, f"{guest.place.op} {guest.branch.attempt}"
        record = Record("run", kind, op, {"by": note}, 2.0, epoch=guest.epoch, branch=guest.branch)
        with suppress(Fenced, JournalFailed):  # the latter of a process that has left
            journal.append(record)
            self.wait(journal.flush())
        if not self.has_it(guest):
            with pytest.raises((Fenced, JournalFailed)):
                journal.append(record)
            return False
        journal.check_owner("run", guest.epoch, guest.branch)
        return True

    @rule(guest=guests)
    def note(self, guest: Guest) -> None:
        if self.write(guest, "log", guest.place.op):
            self.written.append(f"{guest.place.op} {guest.branch.attempt}")

    @rule(guest=guests)
    def settle(self, guest: Guest) -> None:
        """It may be too late for that, though it has the branch: then somebody else did."""
        if self.write(guest, "delegation_completed", guest.place.op) and not guest.place.is_settled:
            self.written.append(f"{guest.place.op} {guest.branch.attempt}")
            guest.place.is_settled = True

    @rule(guest=guests)
    def leave(self, guest: Guest) -> None:
        has_it = self.has_it(guest)
        with suppress(JournalFailed):
            self.wait(guest.process.journal.leave("run", guest.epoch, guest.branch))
        if has_it:
            guest.place.holder = None

    @rule(target=guests, guest=guests, number=GUESTS, wakes=st.booleans())
    def rob(self, guest: Guest, number: int, wakes: bool) -> Any:
        """A process is stopped for so long that another gets what it has."""
        if not self.has_it(guest):
            return multiple()
        robbed = self.processes.index(guest.process)
        self.stop(robbed)
        robber = self.claim(number, guest.place.op, is_late=False)
        if wakes:
            self.wake(robbed)
        return robber

    # --- what happens to processes ---------------------------------------------------------------

    @rule(number=GUESTS)
    def stop(self, number: int) -> None:
        """A process is stopped, or is cut off, until its lease is over."""
        process = self.processes[number]
        lend(process.journal, process.who, -1)
        process.has_lease = False

    @rule(number=GUESTS)
    def wake(self, number: int) -> None:
        """It goes on, and hears what it has lost before anything begins."""
        process = self.processes[number]
        is_in_doubt = not process.has_lease
        process.journal._tenure.renewed(LONG_AGO)
        assert self.wait(process.journal.claim("no run", "x", 1)) == Gone()
        process.believes = process.has_lease = True
        self.wait(process.journal.room())
        for guest in self.given:
            if is_in_doubt and guest.process is process and not self.has_it(guest):
                with pytest.raises(Fenced):
                    process.journal.check_owner("run", guest.epoch, guest.branch)

    @rule(number=GUESTS)
    def end(self, number: int) -> None:
        """A process ends, which gives its lease back, and there is a new one."""
        former, self.processes[number] = self.processes[number], self.process()
        self.wait(former.journal.close())
        former.has_lease, former.is_gone = False, True

    # --- what happens to the run -----------------------------------------------------------------

    @rule(op=st.sampled_from(OPS), is_meant=SELDOM)
    def asker_settles(self, op: str, is_meant: int) -> None:
        """Its deadline is over, or it was cancelled."""
        if is_meant or self.is_parked:
            return
        self.home.journal.append(
            Record("run", "delegation_failed", op, {"by": "asker"}, 3.0, epoch=self.epoch)
        )
        self.wait(self.home.journal.flush())
        if not self.places[op].is_settled:
            self.written.append("asker")
            self.places[op].is_settled = True

    @rule(is_meant=SELDOM)
    def park(self, is_meant: int) -> None:
        if is_meant or self.is_over or self.is_parked:
            return
        record = Record("run", "run_waiting", f"p:{self.epoch}", {}, 3.0, epoch=self.epoch)
        assert self.wait(self.home.journal.park(record, 0))
        self.written.append("run_waiting")
        self.is_parked = True

    @rule()
    def take_over(self) -> None:
        """The run has a new owner."""
        if self.is_over:
            return
        self.wait(self.home.journal.close())
        self.home = self.process()
        epoch, who = self.epoch + 1, self.home.who
        body = {"pid": who.pid, "host": who.host, "owner": str(who), "epoch": epoch}
        record = Record("run", "run_resumed", f"resumed:{epoch}", body, 3.0, epoch=epoch)
        assert self.wait(self.home.journal.take_over(record))
        self.epoch, self.is_parked = epoch, False
        self.written.append("run_resumed")

    @rule(is_meant=SELDOM)
    def finish(self, is_meant: int) -> None:
        if is_meant or self.is_over or self.is_parked:
            return
        record = Record("run", "run_completed", "", {"output": 1}, 4.0, epoch=self.epoch)
        self.home.journal.append(record)
        self.wait(self.home.journal.flush())
        self.is_over = True
        self.written.append("run_completed")

    # --- what always holds -----------------------------------------------------------------------

    @rule()
    def check(self) -> None:
        """Exactly that is there which was written by who might."""

        async def read() -> list[EventRow]:
            return await self.home.journal.events("run", limit=10_000)

        events = self.wait(read())
        assert [str(event.body.get("by", event.kind)) for event in events] == self.written
        check_history(events)

    def teardown(self) -> None:
        try:
            self.check()
        finally:
            for process in (self.home, *self.processes):
                self.wait(process.journal.close())
            self.stack.close()


def check_history(events: list[EventRow]) -> None:
    """Attempts follow one another, and no step has two outcomes."""
    assert [event.seq for event in events] == [*range(1, len(events) + 1)]
    outcomes = Counter(event.op for event in events if KINDS[event.kind].terminal)
    assert max(outcomes.values(), default=1) == 1
    attempts: dict[str, int] = {}
    for event in events:
        op, _, attempt = str(event.body.get("by", "")).partition(" ")
        if attempt:
            assert attempts.get(op, 0) <= int(attempt)
            attempts[op] = int(attempt)


@pytest.mark.parametrize("store", SHARED)
def test_whatever_happens_one_process_at_a_time_writes_a_branch(store: str) -> None:
    class Machine(BranchMachine):
        pass

    Machine.store = store
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=tuple(Phase) if "JOURNAL_EXAMPLES" in os.environ else QUICK,
        ),
    )


Member = tuple[ProcessIdentity, StoredJournal]


async def work(member: Member, crowd: list[Member], dice: random.Random) -> None:
    """Claim branches, and let a lease be over where another has one."""
    _, journal = member
    for _ in range(40):
        said = await journal.claim("run", dice.choice(OPS), 1)
        if isinstance(said, Ours):
            await write_some(journal, said.branch, dice)
        elif isinstance(said, Held) and dice.random() < 0.5:
            lend(journal, dice.choice(crowd)[0], -1)


async def write_some(journal: StoredJournal, branch: Branch, dice: random.Random) -> None:
    """Write until somebody else has the branch, or settle it, or leave it, or forget it."""
    note = {"by": f"{branch.op} {branch.attempt}"}
    with suppress(Fenced):
        for number in range(dice.randrange(5)):
            kind: Kind = "delegation_completed" if dice.random() < 0.05 else "log"
            journal.append(Record("run", kind, branch.op, note, 2.0, branch=branch))
            if number % 2:
                await journal.flush()
        if dice.random() < 0.5:
            await journal.leave("run", 1, branch)


@pytest.mark.parametrize("store", SHARED)
@pytest.mark.parametrize("seed", range(3))
async def test_many_at_once_never_write_between_one_another(
    store: str, seed: int, tmp_path: Path
) -> None:
    """Processes claim, write, stop and wake as they like, at the same time."""
    dice = random.Random(seed)  # noqa: S311  # no secret
    with place(store, tmp_path) as where:
        crowd = [(stranger(each), await opened(where, stranger(each))) for each in range(4)]
        _, home = crowd[0]
        home.append(begun(stranger(99)))
        await home.flush()
        async with anyio.create_task_group() as tasks:
            for each in crowd:
                tasks.start_soon(work, each, crowd, dice)
        check_history(await home.events("run", limit=10_000))
        for _, journal in crowd:
            await journal.close()
