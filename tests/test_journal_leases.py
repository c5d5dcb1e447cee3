"""The lease of a process in a SQLite file: one for all its runs, kept while there are some."""

from __future__ import annotations

import fcntl
import sqlite3
from contextlib import asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime.identity import wall_clock
from runtime.journal import Fenced, Ours, Record, SqliteJournal
from runtime.journal.liveness import owner_note, this_process
from runtime.journal.ownership import ProcessIdentity
from runtime.journal.reader import Reader
from tests.interrupted import dead_pid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.real_time

LEASE_S = 0.3
LEASES = 5  # the version of the schema that has them
ELSEWHERE = ProcessIdentity("elsewhere", 7, 100, "pid:[1]", "another boot", "another machine")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def begun(run: str = "run") -> Record:
    return Record(run, "run_started", "", {"target": "t", **owner_note()}, 1.0)


def ended(run: str = "run") -> Record:
    return Record(run, "run_completed", "", {"output": 1}, 2.0)


def execute(path: Path, statement: str, *parameters: Any) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, parameters).fetchall()


def held_until(path: Path) -> float | None:
    found = execute(path, "SELECT held_until FROM lease WHERE owner = ?", str(this_process()))
    return found[0][0] if found else None


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SqliteJournal]:
    journal = await SqliteJournal.open(path, synchronous="normal", lease_s=LEASE_S, **options)
    try:
        yield journal
    finally:
        await journal.close()


@contextmanager
def stalled(path: Path) -> Iterator[None]:
    """Let nobody write."""
    with path.with_name(f"{path.name}-lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def until_renewed(path: Path, after: float | None) -> float:
    with anyio.fail_after(10):
        while (now := held_until(path)) is None or now == after:  # noqa: ASYNC110  # a file
            await anyio.sleep(0.01)
    return now


async def test_the_first_record_of_a_run_brings_a_lease_that_is_renewed_until_its_end(
    path: Path,
) -> None:
    async with opened(path) as journal:
        await journal.flush()
        assert held_until(path) is None
        before = wall_clock()
        journal.append(begun())
        await journal.flush()
        first = held_until(path)
        assert first is not None
        assert first >= before + LEASE_S
        second = await until_renewed(path, first)
        assert second > first
        row = await journal.run("run")
        assert row is not None
        assert (row.owner, row.held_until is None) == (str(this_process()), False)
        batches = journal.statistics().batches
        assert batches == 1  # nothing was written but the lease
        journal.append(ended())
        await journal.flush()
        last = held_until(path)
        await anyio.sleep(LEASE_S)
        assert held_until(path) == last
        await journal.room()  # what is over belongs to no run: something new may begin
    assert execute(path, "SELECT * FROM lease") == []


async def test_however_many_runs_there_are_the_lease_is_one(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(100):
            journal.append(begun(f"run {number}"))
        await journal.flush()
        assert execute(path, "SELECT count(*) FROM lease") == [(1,)]


async def test_who_takes_a_run_over_has_a_lease_for_it(path: Path) -> None:
    async with opened(path) as journal:
        journal.append(Record("run", "run_started", "", {"target": "t", **of(ELSEWHERE)}, 1.0))
        await journal.flush()
        assert held_until(path) is None
        body = {**owner_note(), "epoch": 2}
        assert await journal.take_over(Record("run", "run_resumed", "resumed:2", body, 2, epoch=2))
        assert held_until(path) is not None


def of(owner: ProcessIdentity) -> dict[str, Any]:
    return {"pid": owner.pid, "host": owner.host, "owner": str(owner)}


async def test_nothing_begins_while_the_lease_could_not_be_renewed(path: Path) -> None:
    async with opened(path) as journal:
        journal.append(begun())
        await journal.flush()
        await journal.room()
        with stalled(path):
            await anyio.sleep(LEASE_S)
            assert journal.holds_up
            with anyio.move_on_after(0.1) as patience:
                await journal.room()
            assert patience.cancelled_caught
        await journal.room()
        assert not journal.holds_up
        journal.check_owner("run", 1)  # nobody wanted it meanwhile: it goes on


async def test_who_wakes_too_late_hears_whose_the_run_is_before_anything_begins(
    path: Path,
) -> None:
    async with opened(path) as journal:
        journal.append(begun())
        journal.append(begun("own"))
        await journal.flush()
        with stalled(path):
            await anyio.sleep(LEASE_S)
            execute(path, "UPDATE run SET epoch = 2, owner = 'x' WHERE run_id = 'run'")
        await journal.room()
        assert journal.holds_up  # so that whoever would begin asks `check_owner`
        with pytest.raises(Fenced, match="taken over"):
            journal.check_owner("run", 1)
        journal.check_owner("own", 1)


async def test_a_guest_has_a_lease_and_hears_what_others_have_before_anything_begins(
    path: Path,
) -> None:
    async with opened(path) as journal:
        owner = {"pid": ELSEWHERE.pid, "host": ELSEWHERE.host, "owner": str(ELSEWHERE)}
        journal.append(Record("run", "run_started", "", {"target": "t", **owner}, 1.0))
        claims = [await journal.claim("run", op, 1) for op in ("boss/a", "boss/b", "boss/c")]
        taken, left, own = (each.branch for each in claims if isinstance(each, Ours))
        first = held_until(path)
        await until_renewed(path, first)
        with stalled(path):
            await anyio.sleep(LEASE_S)
            execute(path, "UPDATE branch SET attempt = 2, owner = 'x' WHERE op = 'boss/a'")
            execute(path, "UPDATE branch SET owner = '' WHERE op = 'boss/b'")
        await journal.room()
        for branch in (taken, left):
            with pytest.raises(Fenced, match=f"{branch.op} of run run was taken over"):
                journal.check_owner("run", 1, branch)
        journal.check_owner("run", 1, own)
        execute(path, "UPDATE run SET epoch = 2")
        with stalled(path):
            await anyio.sleep(LEASE_S)
        await journal.room()
        with pytest.raises(Fenced):
            journal.check_owner("run", 1, own)


async def test_leases_that_say_nothing_any_more_are_forgotten(path: Path) -> None:
    async with opened(path):
        pass
    dead, now = ProcessIdentity(this_process().host, dead_pid()), wall_clock()
    alive = ProcessIdentity(this_process().host, 1)
    for owner, until in ((dead, 0), (alive, 0), (ELSEWHERE, 0)):
        execute(path, "INSERT INTO lease VALUES (?, ?)", str(owner), until)
    execute(path, "INSERT INTO lease VALUES (?, ?)", "7/////far away", now + 60)
    async with opened(path):
        kept = execute(path, "SELECT owner FROM lease ORDER BY owner")
    assert kept == [(str(alive),), ("7/////far away",)]


async def test_a_file_of_the_version_before_leases_is_read_as_it_is_and_then_upgraded(
    path: Path,
) -> None:
    async with opened(path) as journal:
        journal.append(begun())
    for statement in (
        "DROP TABLE lease",
        "DROP TABLE branch",
        "UPDATE run SET owner = NULL, host = 'elsewhere'",
        f"PRAGMA user_version = {LEASES - 1}",
    ):
        execute(path, statement)
    row = await Reader.of(path).run("run")
    assert row is not None
    assert (row.owner, row.held_until) == (None, None)
    assert execute(path, "PRAGMA user_version") == [(LEASES - 1,)]
    async with opened(path) as journal:
        body = {**owner_note(), "epoch": 2}
        assert await journal.take_over(Record("run", "run_resumed", "resumed:2", body, 2, epoch=2))
