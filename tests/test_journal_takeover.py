"""Who owns a run: one process at a time, and who was owned it can write nothing any more."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from runtime.identity import wall_clock
from runtime.journal import Claim, Fenced, Journal, Record, Scope
from runtime.journal.liveness import look, this_process
from runtime.journal.ownership import ProcessIdentity
from tests.interrupted import dead_pid
from tests.stores import SHARED, STORES, lend, opened, several

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.real_time


ELSEWHERE = ProcessIdentity("elsewhere", 7, 100, "pid:[1]", "another boot", "another machine")


def started(pid: int, **more: str) -> Record:
    body = {"target": "t", "pid": pid, "host": socket.gethostname(), **more}
    return Record("run", "run_started", "", body, 1.0)


def started_by(owner: ProcessIdentity) -> Record:
    return started(owner.pid, host=owner.host, owner=str(owner))


def resumed(epoch: int, pid: int | None = None) -> Record:
    body = {"pid": pid or os.getpid(), "host": socket.gethostname(), "epoch": epoch}
    return Record("run", "run_resumed", f"resumed:{epoch}", body, 2.0, epoch=epoch)


def logged(epoch: int, op: str = "x") -> Record:
    return Record("run", "log", op, {"event": "e"}, 3.0, epoch=epoch)


async def write_until_fenced(journal: Journal) -> None:
    """Write as a former owner: the first may be taken, and is left out when it is committed."""
    for _ in range(1_000):
        journal.append(logged(1))
        await journal.flush()


@pytest.fixture(params=STORES)
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    async with opened(request.param, tmp_path) as one:
        yield one


async def test_a_run_whose_process_is_dead_gets_a_new_owner(journal: Journal) -> None:
    journal.append(started(dead_pid()))
    assert await journal.take_over(resumed(2)) is True
    journal.append(logged(2))
    await journal.flush()
    row = await journal.run("run")
    assert row is not None
    assert (row.epoch, row.pid, row.status) == (2, os.getpid(), "running")
    assert [event.kind for event in await journal.events("run")] == [
        *("run_started", "run_resumed", "log"),
    ]


async def test_a_run_of_a_living_process_is_left_alone(journal: Journal) -> None:
    journal.append(started(os.getppid()))
    assert await journal.take_over(resumed(2)) is False
    row = await journal.run("run")
    assert row is not None
    assert row.epoch == 1


async def test_who_has_a_run_may_begin_with_it_anew_once(journal: Journal) -> None:
    """It has left it, and is alive: nobody else may."""
    journal.append(started_by(this_process()))
    process = this_process()
    again = resumed(2)._replace(body={**resumed(2).body, "owner": str(process)})
    assert await journal.take_over(again) is True
    assert await journal.take_over(again) is False
    row = await journal.run("run")
    assert row is not None
    assert (row.epoch, row.owner) == (2, str(process))
    with pytest.raises(Fenced):
        await write_until_fenced(journal)


async def test_a_run_of_another_host_is_left_alone_until_its_lease_is_over(
    journal: Journal,
) -> None:
    journal.append(started_by(ELSEWHERE))
    await journal.flush()
    lend(journal, ELSEWHERE, 60)
    assert await journal.take_over(resumed(2)) is False
    row = await journal.run("run")
    assert row is not None
    assert (row.epoch, row.owner) == (1, str(ELSEWHERE))
    lend(journal, ELSEWHERE, -1)
    assert await journal.take_over(resumed(2)) is True


async def test_a_run_of_another_host_that_has_given_its_lease_back_is_free(
    journal: Journal,
) -> None:
    journal.append(started_by(ELSEWHERE))
    assert await journal.take_over(resumed(2)) is True


async def test_a_number_that_is_another_process_s_by_now_keeps_no_run(
    journal: Journal,
) -> None:
    parent = replace(this_process(), pid=os.getppid(), started=look(os.getppid()).started)
    if parent.started is None:
        pytest.skip("nobody knows here when a process started")
    journal.append(started_by(parent))
    await journal.flush()
    assert await journal.take_over(resumed(2)) is False
    former = replace(parent, started=parent.started - 1)
    journal.append(started_by(former)._replace(run_id="other"))
    await journal.flush()
    lend(journal, former, 60)  # it was killed before its lease was over
    assert await journal.take_over(resumed(2)._replace(run_id="other")) is True


async def test_who_is_alive_and_has_not_renewed_its_lease_loses_its_runs(
    journal: Journal,
) -> None:
    parent = replace(this_process(), pid=os.getppid(), started=look(os.getppid()).started)
    journal.append(started_by(parent))
    await journal.flush()
    lend(journal, parent, 60)
    assert await journal.take_over(resumed(2)) is False
    lend(journal, parent, -1)
    assert await journal.take_over(resumed(2)) is True


@pytest.mark.parametrize("epoch", [1, 3])
async def test_who_does_not_know_the_last_owner_does_not_become_one(
    journal: Journal, epoch: int
) -> None:
    journal.append(started(dead_pid()))
    assert await journal.take_over(resumed(epoch)) is False


async def test_a_run_that_is_over_or_was_never_begun_has_no_new_owner(journal: Journal) -> None:
    assert await journal.take_over(resumed(2)) is False
    journal.append(started(dead_pid()))
    journal.append(Record("run", "run_failed", "", {"error": "e", "reason": "r"}, 2.0))
    assert await journal.take_over(resumed(2)) is False


async def test_a_former_owner_is_fenced(journal: Journal) -> None:
    journal.append(started(dead_pid()))
    assert await journal.take_over(resumed(2))
    with pytest.raises(Fenced):
        await write_until_fenced(journal)
    begun = {"task": "t", "agent": "a", "provider": "p", "model": "m", "reserved_nano_usd": 1}
    with pytest.raises(Fenced):
        await journal.admit(Record("run", "invocation_started", "c", begun, 3.0), ())
    journal.append(logged(2))
    await journal.flush()
    epochs = [event.kind for event in await journal.events("run")]
    assert epochs == ["run_started", "run_resumed", "log"]


async def test_a_run_is_not_resumed_by_an_ordinary_record(journal: Journal) -> None:
    journal.append(started(dead_pid()))
    with pytest.raises(ValueError, match="take_over"):
        journal.append(resumed(2))
    with pytest.raises(ValueError, match="take_over"):
        await journal.take_over(logged(2))


@pytest.mark.parametrize("store", SHARED)
async def test_of_many_who_want_a_run_one_gets_it(store: str, tmp_path: Path) -> None:
    async with several(store, tmp_path, 6) as journals:
        journals[0].append(started(dead_pid()))
        await journals[0].flush()
        won: list[int] = []

        async def want(number: int) -> None:
            if await journals[number].take_over(resumed(2)):
                won.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(want, number)
        assert len(won) == 1
        loser = journals[(won[0] + 1) % 6]
        with pytest.raises(Fenced):
            await write_until_fenced(loser)


async def test_a_former_owner_hears_of_it_when_it_waits_for_its_records(journal: Journal) -> None:
    journal.append(started(dead_pid()))
    await journal.flush()
    journal.check_owner("run", 1)
    assert await journal.take_over(resumed(2))
    with suppress(Fenced):
        journal.append(logged(1))  # a journal on a disk finds it out when it commits
    await journal.flush()
    with pytest.raises(Fenced):
        journal.check_owner("run", 1)
    journal.check_owner("run", 2)


@pytest.mark.parametrize("store", SHARED)
async def test_what_a_former_owner_knew_of_a_run_does_not_replace_what_is_there(
    store: str, tmp_path: Path
) -> None:
    async with several(store, tmp_path, 2) as (former, owner):
        former.append(started(dead_pid()))
        await former.flush()
        assert await owner.take_over(resumed(2))
        day = "2026-01-01"
        begun = {"agent": "a", "reserved_nano_usd": 10}
        claim = Claim(Scope("agent", "a", day, day), 1, "a policy")
        with suppress(Fenced):  # a server is asked afresh
            assert await former.admit(
                Record("run", "invocation_started", "c", begun, 3.0), (claim,)
            )
        row = await owner.run("run")
    assert row is not None
    assert row.epoch == 2


async def test_a_call_that_is_begun_once_more_stays_spent_at_its_worst(journal: Journal) -> None:
    day = "1970-01-01"
    begun = {"agent": "a", "reserved_nano_usd": 30}
    ended = {"settled_nano_usd": 7}
    journal.append(started(os.getpid()))
    journal.append(Record("run", "invocation_started", "c", begun, 1.0))
    journal.append(Record("run", "invocation_started", "c", begun, 2.0))
    await journal.flush()
    scope = Scope("agent", "a", day, day)
    assert await journal.balance(scope) == (30, 30)
    journal.append(Record("run", "invocation_completed", "c", ended, 3.0))
    await journal.flush()
    assert await journal.balance(scope) == (37, 0)


@pytest.mark.parametrize("store", SHARED)
async def test_whoever_owns_a_run_where_others_can_see_it_has_a_lease(
    store: str, tmp_path: Path
) -> None:
    async with several(store, tmp_path, 2) as (owner, other):
        owner.append(started_by(this_process()))
        await owner.flush()
        row = await other.run("run")
        assert row is not None
        assert row.held_until is not None
        assert row.held_until > wall_clock()
        assert await other.take_over(resumed(2)) is False
