"""Branches of a run: one guest at a time, and nothing of a former one is taken."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import pytest

from runtime.journal import (
    Branch,
    Claimed,
    Fenced,
    Gone,
    Held,
    Journal,
    JournalFailed,
    Kind,
    Ours,
    Record,
    Settled,
)
from runtime.journal.liveness import owner_note, this_process
from runtime.journal.ownership import ProcessIdentity
from tests.interrupted import dead_pid
from tests.stores import SHARED, STORES, hand, lend, opened, several

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.real_time

OP = "boss:1/leaf:1"
ELSEWHERE = ProcessIdentity("elsewhere", 7, 100, "pid:[1]", "another boot", "another machine")


def started(pid: int | None = None) -> Record:
    owner = {"pid": pid, "host": socket.gethostname()} if pid else owner_note()
    return Record("run", "run_started", "", {"target": "t", **owner}, 1.0)


def resumed(epoch: int) -> Record:
    body = {"epoch": epoch, "pid": os.getpid(), "host": socket.gethostname()}
    return Record("run", "run_resumed", f"resumed:{epoch}", body, 2.0, epoch=epoch)


def of(branch: Branch | None, kind: Kind = "log", op: str = OP, epoch: int = 1) -> Record:
    return Record("run", kind, op, {"output": 1}, 3.0, epoch=epoch, branch=branch)


def granted(claimed: Claimed) -> Branch:
    assert isinstance(claimed, Ours)
    return claimed.branch


async def kinds(journal: Journal) -> list[str]:
    await journal.flush()
    return [event.kind for event in await journal.events("run")]


async def refused(journal: Journal, record: Record) -> None:
    """Write it, and find that it is refused: at once, or when it is committed."""
    before = await kinds(journal)
    with suppress(Fenced):
        journal.append(record)
    await journal.flush()
    with pytest.raises(Fenced):
        journal.check_owner("run", record.epoch, record.branch)
    with pytest.raises(Fenced):
        journal.append(record)
    assert await kinds(journal) == before


@pytest.fixture(params=STORES)
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    async with opened(request.param, tmp_path) as one:
        yield one


@pytest.mark.parametrize("is_said", [True, False])
async def test_a_branch_is_claimed_worked_on_and_settled(journal: Journal, is_said: bool) -> None:
    journal.append(started())
    branch = granted(await journal.claim("run", OP, 1))
    assert branch == Branch(OP, 1)
    journal.append(of(branch, "delegation_started"))
    journal.check_owner("run", 1, branch)
    await journal.room()
    assert await journal.outcome("run", OP) is None
    journal.append(of(branch, "delegation_completed"))
    journal.append(of(branch, "log", f"{OP}/late"))  # what ends behind the outcome still counts
    assert await journal.leave("run", 1, branch, is_settled=is_said)
    assert not await journal.leave("run", 1, branch, is_settled=is_said)
    await refused(journal, of(branch))
    outcome = await journal.outcome("run", OP)
    assert outcome is not None
    assert (outcome.kind, outcome.body) == ("delegation_completed", {"output": 1})
    assert await journal.claim("run", OP, 1) == Settled(outcome)
    assert await kinds(journal) == [
        *("run_started", "delegation_started", "delegation_completed", "log"),
    ]


async def test_a_branch_that_its_asker_has_settled_is_nobody_s(journal: Journal) -> None:
    journal.append(started())
    branch = granted(await journal.claim("run", OP, 1))
    journal.append(of(None, "delegation_failed"))
    journal.append(of(branch, "delegation_completed"))  # too late: a step has one outcome
    claimed = await journal.claim("run", OP, 1)
    assert isinstance(claimed, Settled)
    assert claimed.outcome.kind == "delegation_failed"
    assert await kinds(journal) == ["run_started", "delegation_failed"]


async def test_an_outcome_that_is_written_with_a_claim_is_not_overlooked(journal: Journal) -> None:
    journal.append(started())
    journal.append(of(None, "delegation_completed"))
    journal.append(Record("run", "delegation_completed", f"{OP}/x", {"output": "x" * 70_000}, 3.0))
    assert isinstance(await journal.claim("run", OP, 1), Settled)
    assert isinstance(await journal.claim("run", f"{OP}/x", 1), Settled)


async def test_a_branch_is_held_while_its_process_has_a_lease(journal: Journal) -> None:
    journal.append(started())
    branch = granted(await journal.claim("run", OP, 1))
    held = await journal.claim("run", OP, 1)  # delivered twice to one process
    assert isinstance(held, Held)
    assert held.owner == str(this_process())
    hand(journal, "run", OP, ELSEWHERE)
    lend(journal, ELSEWHERE, 60)
    held = await journal.claim("run", OP, 1)
    assert isinstance(held, Held)
    assert held.owner == str(ELSEWHERE)
    assert held.left_s is not None
    assert 0 < held.left_s <= 60
    lend(journal, ELSEWHERE, -1)
    assert granted(await journal.claim("run", OP, 1)) == Branch(OP, branch.attempt + 1)


async def test_a_branch_of_a_dead_process_is_free_whatever_its_lease_says(
    journal: Journal,
) -> None:
    journal.append(started())
    granted(await journal.claim("run", OP, 1))
    dead = ProcessIdentity(this_process().host, dead_pid())
    hand(journal, "run", OP, dead)
    lend(journal, dead, 60)
    assert granted(await journal.claim("run", OP, 1)).attempt == 2


async def test_of_a_former_attempt_nothing_is_taken(journal: Journal) -> None:
    journal.append(started())
    former = granted(await journal.claim("run", OP, 1))
    hand(journal, "run", OP, ELSEWHERE)
    last = granted(await journal.claim("run", OP, 1))
    await refused(journal, of(former))
    begun = {"task": "t", "agent": "a", "provider": "p", "model": "m", "reserved_nano_usd": 1}
    for branch, is_refused in ((former, True), (last, False)):
        record = Record("run", "invocation_started", f"{OP}/c", begun, 3.0, branch=branch)
        if is_refused:
            with pytest.raises(Fenced, match=rf"{OP} of run run was taken over"):
                await journal.admit(record, ())
        else:
            assert await journal.admit(record, ()) is None
    journal.append(of(last, "delegation_completed"))
    journal.append(of(None))  # the owner of the run goes on as ever
    assert await kinds(journal) == [
        *("run_started", "invocation_started", "delegation_completed", "log"),
    ]


async def test_who_has_left_a_branch_writes_nothing_of_it_and_another_may_go_on(
    journal: Journal,
) -> None:
    journal.append(started())
    former = granted(await journal.claim("run", OP, 1))
    journal.append(of(former))
    await journal.leave("run", 1, former)
    await journal.leave("run", 1, former)
    assert await kinds(journal) == ["run_started", "log"]
    await refused(journal, of(former))
    last = granted(await journal.claim("run", OP, 1))
    assert last.attempt == 2
    await journal.leave("run", 1, former)  # which is not its to leave
    journal.append(of(last))
    assert await kinds(journal) == ["run_started", "log", "log"]


@pytest.mark.parametrize("is_said", [True, False])
async def test_who_has_lost_a_branch_has_not_settled_it(journal: Journal, is_said: bool) -> None:
    journal.append(started(dead_pid()))
    former = granted(await journal.claim("run", OP, 1))
    assert await journal.take_over(resumed(2))
    with suppress(Fenced):
        journal.append(of(former, "delegation_completed"))
    assert not await journal.leave("run", 1, former, is_settled=is_said)
    assert await kinds(journal) == ["run_started", "run_resumed"]


async def test_the_guests_of_a_former_owner_are_fenced_with_it(journal: Journal) -> None:
    journal.append(started(dead_pid()))
    former = granted(await journal.claim("run", OP, 1))
    assert await journal.take_over(resumed(2))
    await refused(journal, of(former))
    assert await journal.claim("run", OP, 1) == Gone()
    assert await journal.claim("run", OP, 3) == Gone()
    last = granted(await journal.claim("run", OP, 2))
    assert last.attempt == 2
    journal.append(of(last, epoch=2))
    assert await kinds(journal) == ["run_started", "run_resumed", "log"]


@pytest.mark.parametrize(
    ("kind", "may_work"),
    [("run_completed", False), ("run_cancelled", False), ("cancel_requested", True)],
)
async def test_of_a_run_that_is_over_nobody_gets_a_branch(
    journal: Journal, kind: Kind, may_work: bool
) -> None:
    assert await journal.claim("run", OP, 1) == Gone()
    journal.append(started())
    branch = granted(await journal.claim("run", OP, 1))
    body = {"output": None, "reason": "r", "error": "e", "by": "me"}
    journal.append(Record("run", kind, "", body, 4.0))
    journal.append(of(branch))  # what was in flight may still say what became of it
    await journal.leave("run", 1, branch)
    assert isinstance(await journal.claim("run", OP, 1), Ours if may_work else Gone)
    assert await kinds(journal) == ["run_started", kind, "log"]


async def test_of_a_parked_run_nobody_gets_a_branch(journal: Journal) -> None:
    journal.append(started())
    assert await journal.park(Record("run", "run_waiting", "parked:1", {}, 4.0), 0)
    assert await journal.claim("run", OP, 1) == Gone()


async def test_a_closed_journal_gives_no_branch(journal: Journal) -> None:
    journal.append(started())
    branch = granted(await journal.claim("run", OP, 1))
    await journal.close()
    with pytest.raises(JournalFailed, match="closed"):
        await journal.claim("run", OP, 1)
    with pytest.raises(JournalFailed, match="closed"):
        await journal.leave("run", 1, branch)


@pytest.mark.parametrize("store", SHARED)
async def test_of_many_who_want_a_branch_one_gets_it(store: str, tmp_path: Path) -> None:
    async with several(store, tmp_path, 5) as journals:
        journals[0].append(started())
        await journals[0].flush()
        answers: list[Claimed] = []

        async def want(journal: Journal) -> None:
            answers.append(await journal.claim("run", OP, 1))

        async with anyio.create_task_group() as tasks:
            for each in journals:
                tasks.start_soon(want, each)
        assert [type(each) for each in answers].count(Ours) == 1
        assert [type(each) for each in answers].count(Held) == 4


@pytest.mark.parametrize("store", SHARED)
async def test_owner_and_guests_write_one_run_at_the_same_time(store: str, tmp_path: Path) -> None:
    async with several(store, tmp_path, 4) as (home, *guests):
        home.append(started())
        await home.flush()

        async def work(journal: Journal, number: int | None) -> None:
            branch = None
            if number is not None:
                branch = granted(await journal.claim("run", f"{OP}{number}", 1))
            for step in range(30):
                journal.append(of(branch, "skill_completed", f"{OP}{number}/{step}"))
                await journal.flush()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work, home, None)
            for number, guest in enumerate(guests):
                tasks.start_soon(work, guest, number)
        events = await home.events("run")
        assert [event.seq for event in events] == [*range(1, 4 * 30 + 2)]
        assert len({event.op for event in events}) == 4 * 30 + 1


@pytest.mark.parametrize("store", SHARED)
async def test_a_guest_has_a_lease_though_it_owns_no_run(store: str, tmp_path: Path) -> None:
    async with several(store, tmp_path, 2) as (home, guest):
        home.append(started(os.getppid()))
        await home.flush()
        lend(home, this_process(), -1)
        granted(await guest.claim("run", OP, 1))
        held = await home.claim("run", OP, 1)
        assert isinstance(held, Held)
        assert held.left_s is not None
        assert held.left_s > 0


@pytest.mark.parametrize("store", SHARED)
async def test_a_branch_whose_claim_was_given_up_is_free(store: str, tmp_path: Path) -> None:
    async with several(store, tmp_path, 2) as (one, other):
        one.append(started())
        await one.flush()
        with anyio.move_on_after(0) as patience:
            await one.claim("run", OP, 1)
        assert patience.cancelled_caught
        await one.flush()
        assert isinstance(await other.claim("run", OP, 1), Ours)
