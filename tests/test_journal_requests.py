"""What people ask of a run passes its owner's fence, is decided once, and is never missed."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from runtime.journal import Fenced, MemoryJournal, Record
from tests.interrupted import dead_pid
from tests.stores import SHARED, STORES, opened, several

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from runtime.journal import Journal, Kind

pytestmark = pytest.mark.real_time
BY = {"by": "anna@here"}


def started(run: str = "run", pid: int | None = None) -> Record:
    body = {"target": "t", "pid": pid or os.getpid(), "host": socket.gethostname()}
    return Record(run, "run_started", "", body, 1.0)


def resumed(epoch: int) -> Record:
    body = {"pid": os.getpid(), "host": socket.gethostname(), "epoch": epoch}
    return Record("run", "run_resumed", f"resumed:{epoch}", body, 2.0, epoch=epoch)


def asked(kind: Kind = "cancel_requested", op: str = "", run: str = "run") -> Record:
    body = BY | ({"approved": True} if kind == "approval_decided" else {"why": ""})
    return Record(run, kind, op, body, 3.0, epoch=0)


def parked(kind: Kind = "run_waiting", epoch: int = 1) -> Record:
    return Record("run", kind, f"parked:{epoch}", {}, 4.0, epoch=epoch)


def ended() -> Record:
    return Record("run", "run_completed", "", {"output": 1}, 5.0)


@pytest.fixture(params=STORES)
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    async with opened(request.param, tmp_path) as each:
        yield each


async def status_of(journal: Journal) -> tuple[str, float | None]:
    await journal.flush()
    row = await journal.run("run")
    assert row is not None
    return row.status, row.parked_at


async def test_a_request_is_noted_while_a_run_lasts_and_not_before_or_after(
    journal: Journal,
) -> None:
    assert await journal.request(asked()) is False
    journal.append(started())
    assert await journal.request(asked()) is True
    journal.append(ended())
    assert await journal.request(asked()) is False
    assert journal.statistics().refused == 0


async def test_a_request_passes_the_fence_and_changes_nothing_of_the_run(journal: Journal) -> None:
    journal.append(started(pid=dead_pid()))
    assert await journal.take_over(resumed(2))
    before = await journal.run("run")
    assert await journal.request(asked()) is True
    assert await journal.run("run") == before
    with pytest.raises(ValueError, match="no request"):
        await journal.request(ended())


async def test_a_decision_is_made_once(journal: Journal) -> None:
    journal.append(started())
    assert await journal.request(asked("approval_decided", "a/1")) is True
    assert await journal.request(asked("approval_decided", "a/1")) is False
    assert await journal.request(asked("approval_decided", "a/2")) is True
    assert journal.statistics().refused == 0
    found = await journal.requests(("run", "nobody"))
    assert [(each.run_id, each.event.op) for each in found] == [("run", "a/1"), ("run", "a/2")]


@pytest.mark.parametrize("store", SHARED)
async def test_of_many_processes_that_decide_one_does(store: str, tmp_path: Path) -> None:
    async with several(store, tmp_path, 5) as journals:
        owner = journals[0]
        owner.append(started())
        await owner.flush()
        won: list[int] = []

        async def decide(number: int) -> None:
            if await journals[number].request(asked("approval_decided", "a/1")):
                won.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(decide, number)
        assert len(won) == 1
        owner.append(ended())  # who owns it has not read that somebody else has written
        assert (await status_of(owner))[0] == "completed"
        seqs = [event.seq for event in await owner.events("run")]
    assert seqs == [1, 2, 3]


async def test_a_parked_run_says_since_when_and_anyone_may_go_on_with_it(journal: Journal) -> None:
    journal.append(started())
    assert await journal.park(parked(), seen=0) is True
    assert await status_of(journal) == ("waiting", 4.0)
    assert await journal.take_over(resumed(2)) is True
    assert await status_of(journal) == ("running", None)
    assert await journal.take_over(resumed(3)) is False  # its process, this one, lives
    assert await journal.park(parked("run_paused", 2), seen=0) is True
    assert await status_of(journal) == ("paused", 4.0)
    with pytest.raises(Fenced):
        await journal.park(parked(), seen=0)


async def test_a_run_does_not_park_over_a_request_that_its_owner_has_not_heard(
    journal: Journal,
) -> None:
    journal.append(started())
    journal.append(Record("run", "approval_requested", "a/1", {"ticket": "t"}, 2.0))
    assert await journal.request(asked("approval_decided", "a/1"))
    assert await journal.park(parked(), seen=0) is False
    assert (await status_of(journal))[0] == "running"
    last = (await journal.requests(("run",)))[-1].event.seq
    assert await journal.park(parked(), seen=last) is True


async def test_a_request_and_a_park_of_one_group_do_not_miss_each_other(journal: Journal) -> None:
    journal.append(started())
    verdicts: list[bool] = []

    async def park() -> None:
        verdicts.append(await journal.park(parked(), seen=0))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.request, asked())
        tasks.start_soon(park)
    assert verdicts == [False]


async def test_what_is_asked_of_runs_that_are_over_is_not_told(journal: Journal) -> None:
    journal.append(started())
    journal.append(started("other"))
    assert await journal.request(asked())
    assert await journal.request(asked(run="other"))
    assert len(await journal.requests()) == 2
    journal.append(ended())
    await journal.flush()
    assert [each.run_id for each in await journal.requests()] == ["other"]
    assert await journal.requests(("run",)) == []


@pytest.mark.parametrize("store", SHARED)
async def test_who_watches_hears_of_what_another_process_writes(store: str, tmp_path: Path) -> None:
    async with several(store, tmp_path, 2) as (owner, other):
        owner.append(started())
        await owner.flush()
        assert await owner.changed() is True  # the first look
        if store == "sqlite":  # a server is asked each time
            assert await owner.changed() is False
        assert await other.request(asked())
        assert await owner.changed() is True
        assert len(await owner.requests(("run",))) == 1


async def test_who_watches_memory_hears_at_once() -> None:
    journal = MemoryJournal()
    journal.append(started())
    heard: list[bool] = []

    async def watch() -> None:
        heard.append(await journal.changed())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await anyio.lowlevel.checkpoint()
        assert await journal.request(asked())
    assert heard == [True]
