"""What only the file promises: shared commits, other processes, crashes, full and locked disks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from runtime.identity import wall_clock
from runtime.journal import JournalFailed, JournalUnusable, Record, SqliteJournal
from runtime.journal.books import Books
from runtime.journal.entry import encode
from runtime.journal.fold import RunState
from runtime.journal.group import INSERT, JOURNAL_COLUMNS, decide
from runtime.journal.holdings import Holdings
from runtime.journal.leases import Leases
from runtime.journal.lock import FileLock
from runtime.journal.over import Selection
from runtime.journal.schema import IS_REQUEST, VERSION, connect
from runtime.journal.store import FileStore
from runtime.journal.tenure import Tenure
from runtime.journal.vacuum import vacuum

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parent.parent
PATIENCE_S = 60
REQUESTS = 6  # the version of the schema that has their index as it is now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SqliteJournal]:
    journal = await SqliteJournal.open(path, **options)
    try:
        yield journal
    finally:
        await journal.close()


@pytest.fixture
def locked(path: Path) -> Iterator[FileLock]:
    """The lock that every writer needs, not yet taken."""
    lock = FileLock(path.with_name(f"{path.name}-lock"))
    yield lock
    lock.close()


def log(number: int = 0, run: str = "run-1", **body: Any) -> Record:
    return Record(run, "log", f"line-{number}", {"number": number, **body}, 1.0)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def content(path: Path) -> bytes:
    return path.read_bytes()


def content_of_folder(path: Path) -> list[str]:
    return [each.name for each in path.iterdir()]


def damage(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)  # behind the schema, which takes the first pages
        file.write(b"\xff" * (size - size // 2))


async def recovered(journal: SqliteJournal) -> None:
    """Wait for a writer that may just have been reported as failing."""
    with anyio.fail_after(PATIENCE_S):
        while journal.statistics().pending:
            with suppress(JournalFailed):
                await journal.flush()
            await anyio.lowlevel.checkpoint()


def child(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **options
    )  # our own code


def answer(code: str, *arguments: object) -> Any:
    with child(code, *arguments) as process:
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    return json.loads(output)


# --- groups and back-pressure --------------------------------------------------------------------


async def test_appends_never_wait_for_the_writer_and_share_their_commits(
    path: Path, locked: FileLock
) -> None:
    async with opened(path) as journal:
        with locked:
            for number in range(10_000):
                journal.append(log(number))
            waiting = journal.statistics()
        await journal.flush()
        done = journal.statistics()
    assert (waiting.pending, waiting.committed) == (10_000, 0)
    assert (done.pending, done.committed) == (0, 10_000)
    assert done.batches <= 5
    assert done.largest_batch <= 4096


async def test_a_group_wakes_the_event_loop_once_however_many_wait_for_it(
    path: Path, locked: FileLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as journal:
        wakes: list[object] = []
        ring = journal._bell._loop.call_soon_threadsafe

        def counted(callback: Any, *arguments: Any) -> Any:
            wakes.append(callback)
            return ring(callback, *arguments)

        async def turn(number: int) -> None:
            journal.append(log(number))
            await journal.flush()

        async with anyio.create_task_group() as tasks:
            with locked:
                for number in range(500):
                    tasks.start_soon(turn, number)
                await anyio.wait_all_tasks_blocked()
                monkeypatch.setattr(journal._bell._loop, "call_soon_threadsafe", counted)
        assert 1 <= len(wakes) <= journal.statistics().batches <= 2
        wakes.clear()
        for number in range(500):
            journal.append(log(number, run="nobody waits"))
        while journal.statistics().pending:
            await anyio.lowlevel.checkpoint()
        assert wakes == []


async def test_room_makes_its_callers_wait_until_half_is_written(
    path: Path, locked: FileLock
) -> None:
    async with opened(path, high_water=100) as journal:
        with locked:
            for number in range(99):
                journal.append(log(number))
            assert not journal.holds_up
            await journal.room()
            journal.append(log(99))
            assert journal.holds_up
            with pytest.raises(TimeoutError), anyio.fail_after(0.05):
                await journal.room()
        await journal.room()
        assert journal.statistics().pending < 50


async def test_a_cancelled_flush_leaves_the_others_alone(path: Path, locked: FileLock) -> None:
    async with opened(path) as journal:
        with locked:
            journal.append(log())
            with anyio.move_on_after(0.05) as scope:
                await journal.flush()
        assert scope.cancelled_caught
        await journal.flush()
        assert journal.statistics().committed == 1


async def test_readers_see_a_growing_prefix_while_the_writer_writes(path: Path) -> None:
    async with opened(path, synchronous="normal") as journal:
        seen = 0
        for start in range(0, 3000, 100):
            for number in range(start, start + 100):
                journal.append(log(number))
            events = await journal.events("run-1", limit=5000)
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert len(events) >= seen
            seen = len(events)
        await journal.flush()
        assert len(await journal.events("run-1", limit=5000)) == 3000


# --- the file ------------------------------------------------------------------------------------


async def test_a_reopened_journal_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "with # and ? and %41" / "journal.db"
    call = {"usage": {"input_tokens": 3, "output_tokens": 4}}
    for number in range(3):
        async with opened(path) as journal:
            journal.append(Record("run-1", "invocation_completed", f"{number}", call, 1.0, 10))
    async with opened(path) as journal:
        row = await journal.run("run-1")
        assert [event.seq for event in await journal.events("run-1")] == [1, 2, 3]
    assert row is not None
    assert (row.calls, row.input_tokens, row.output_tokens) == (3, 9, 12)
    assert row.cost_nano_usd == 30


async def test_a_large_body_is_stored_once(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(3):
            journal.append(Record("run-1", "log", f"{number}", {"text": "x" * 65_536}, 1.0))
            journal.append(Record("run-1", "log", f"{number}", {"text": "small"}, 1.0))
        await journal.flush()
        events = await journal.events("run-1")
    assert [len(event.body["text"]) for event in events] == [65_536, 5] * 3
    assert rows(path, "SELECT length(sha256), length(data) FROM blob") == [(32, 65_547)]


@pytest.mark.parametrize(("synchronous", "level"), [("full", 2), ("normal", 1)])
async def test_full_syncs_each_commit_and_normal_does_not(
    path: Path, synchronous: Any, level: int
) -> None:
    async with opened(path, synchronous=synchronous) as journal:
        store = journal._writer._open_store(
            journal._writer._tenure
        )  # as its thread does, but on this one
        assert store._connection.execute("PRAGMA synchronous").fetchone() == (level,)
        store.close()


async def test_the_write_ahead_log_is_emptied_when_it_is_long_and_at_the_end(path: Path) -> None:
    wal = path.with_name("journal.db-wal")
    async with opened(path, checkpoint_bytes=100_000) as journal:
        for number in range(200):
            journal.append(log(number, text="x" * 2000))
            await journal.flush()
            assert wal.stat().st_size < 200_000
    assert not wal.exists()
    assert rows(path, "SELECT count(*) FROM journal") == [(200,)]


async def test_a_reader_that_stays_does_not_stop_the_writer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal = path.with_name("journal.db-wal")
    tries: list[int] = []
    checkpoint = FileStore._checkpoint

    def counted(store: FileStore) -> bool:
        tries.append(wal.stat().st_size)
        return checkpoint(store)

    monkeypatch.setattr(FileStore, "_checkpoint", counted)
    async with opened(path, checkpoint_bytes=50_000) as journal:
        journal.append(log())
        await journal.flush()
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM journal").fetchone() == (1,)
            for number in range(30):
                journal.append(log(number, text="x" * 4000))
                await journal.flush()
            assert wal.stat().st_size > 100_000
            assert tries
            assert len(tries) <= wal.stat().st_size / 50_000
            assert reader.execute("SELECT count(*) FROM journal").fetchone() == (1,)
        for number in range(60):
            journal.append(log(number, text="x" * 4000))
            await journal.flush()
        assert wal.stat().st_size < 100_000


async def test_two_journals_on_one_file_number_and_refuse_together(path: Path) -> None:
    async with opened(path) as one, opened(path) as two:
        for number in range(5):
            one.append(log(number))
            await one.flush()
            two.append(log(number))
            await two.flush()
        one.append(Record("run-1", "run_completed", "run", {"output": 1}, 1.0))
        await one.flush()
        two.append(Record("run-1", "run_failed", "run", {"error": "late"}, 1.0))
        two.append(log())
        await two.flush()
        row = await two.run("run-1")
        assert row is not None
        assert (row.status, row.output) == ("completed", 1)
        assert [event.seq for event in await one.events("run-1")] == list(range(1, 13))
        assert (one.statistics().refused, two.statistics().refused) == (0, 1)


# --- files that cannot be a journal --------------------------------------------------------------


async def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    async with opened(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 7}")
    before = content(path)
    with pytest.raises(JournalUnusable, match=rf"schema {VERSION + 7}.* up to {VERSION};.*--db"):
        await SqliteJournal.open(path)
    assert content(path) == before


async def test_a_record_is_written_without_a_table_of_what_requests_there_are(path: Path) -> None:
    """The index of the requests finds them, and asks only a comparison or two of every record.

    A file of an earlier version has another condition there, and gets this one.
    """
    async with opened(path) as journal:
        journal.append(Record("run-1", "cancel_requested", "cancel:1", {"by": "me"}, 1.0))
    for statement in (
        "DROP INDEX journal_requests",
        "CREATE INDEX journal_requests ON journal (kind, run_id, seq) WHERE kind IN ('a', 'b')",
        "DROP TABLE branch",
        f"PRAGMA user_version = {REQUESTS - 1}",
    ):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
    async with opened(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        none = (None,) * len(JOURNAL_COLUMNS)
        steps = [row[1] for row in connection.execute(f"EXPLAIN {INSERT}", none)]
        query = f"SELECT run_id FROM journal WHERE {IS_REQUEST}"  # noqa: S608  # our own words
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        found = connection.execute(query).fetchall()
    assert "OpenEphemeral" not in steps
    assert [step for step in plan if "journal_requests" in step]
    assert found == [("run-1",)]


def test_no_value_of_a_usual_row_is_one_that_sqlite3_asks_for_an_adapter() -> None:
    """It looks for one of None and of bools, too, which takes longer than the rest of a row."""
    records = (log(1), Record("run-1", "skill_completed", "op", {"output": "x"}, 2))
    connection = sqlite3.connect(":memory:")
    outcome = decide(
        [encode(record) for record in records],
        lambda entry: RunState.first(entry.run_id, entry.at),
        Books(connection, {}),
        lambda state: False,
        Holdings(connection, Leases(connection, Tenure("me"), wall_clock)),
    )
    connection.close()
    assert len(outcome.rows) == len(records)
    assert {type(value) for row in outcome.rows for value in row} == {str, int, float}


async def test_the_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = content(path)
    with pytest.raises(JournalUnusable, match="another program"):
        await SqliteJournal.open(path)
    assert content(path) == before


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    shutil.copy(__file__, path)
    with pytest.raises(JournalUnusable, match=r"journal\.db: .*no SQLite database.*--db"):
        await SqliteJournal.open(path)
    assert content(path) == content(Path(__file__))


async def test_a_folder_and_a_path_through_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalUnusable, match="is a folder"):
        await SqliteJournal.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(JournalUnusable, match="a part of that path is a file"):
        await SqliteJournal.open(tmp_path / "file" / "deeper" / "journal.db")


async def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    shutil.copy(os.devnull, path)
    async with opened(path) as journal:
        journal.append(log())
    assert rows(path, "SELECT seq FROM journal") == [(1,)]


def test_a_file_system_without_shared_memory_is_refused() -> None:
    with pytest.raises(JournalUnusable, match="without shared memory"):
        connect(Path(":memory:"), "full")  # has no write-ahead log either


async def test_options_that_make_no_sense_are_refused(path: Path) -> None:
    for options in ({"synchronous": "off"}, {"high_water": 0}, {"give_up_s": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            await SqliteJournal.open(path, **options)
    assert not content_of_folder(path.parent)


READ_ONLY = """
    import json, os, sys
    from pathlib import Path
    import anyio
    from runtime.journal import JournalUnusable, SqliteJournal

    async def main(folder):
        (folder / "good").mkdir()
        await (await SqliteJournal.open(folder / "good" / "journal.db")).close()
        (folder / "empty").mkdir()
        (folder / "empty").chmod(0o555)
        (folder / "good" / "journal.db").chmod(0o444)
        for each in (folder, folder / "good"):
            each.chmod(0o777)
        (folder / "good" / "journal.db-lock").chmod(0o666)
        if os.geteuid() == 0:  # root may write everywhere
            os.seteuid(65534)
        said = []
        for path in (folder / "empty" / "journal.db", folder / "good" / "journal.db"):
            try:
                await SqliteJournal.open(path)
            except JournalUnusable as error:
                said.append(str(error))
        print(json.dumps(said))

    anyio.run(main, Path(sys.argv[1]))
"""


def test_a_read_only_folder_and_a_read_only_file_are_refused() -> None:
    folder = tempfile.mkdtemp()  # pytest's own folders are closed to other users
    try:
        in_folder, in_file = answer(READ_ONLY, folder)
    finally:
        shutil.rmtree(folder)
    assert f"{folder}/empty/journal.db: " in in_folder
    assert "give this user the right to write the folder" in in_folder
    assert f"{folder}/good/journal.db: " in in_file
    assert "give this user the right to write the file" in in_file


async def test_opening_gives_up_when_another_process_keeps_the_lock(
    path: Path, locked: FileLock
) -> None:
    with locked, pytest.raises(JournalUnusable, match=r"journal\.db-lock for 0\.05 s"):
        await SqliteJournal.open(path, give_up_s=0.05)
    with anyio.fail_after(PATIENCE_S):  # the writer that was given up ends, now that it can
        while any(thread.name == "journal" for thread in threading.enumerate()):
            await anyio.lowlevel.checkpoint()
    async with opened(path) as journal:
        assert await journal.runs() == []


# --- writers that cannot write -------------------------------------------------------------------


async def test_a_writer_that_does_not_answer_fails_its_callers_and_recovers(
    path: Path, locked: FileLock
) -> None:
    async with opened(path, give_up_s=1.0) as journal:
        with locked:
            journal.append(log(0))
            for call in (journal.flush, journal.flush, journal.room):
                with pytest.raises(JournalFailed, match=r"journal\.db-lock.*1 records"):
                    await call()
            assert journal.holds_up
            journal.append(log(1))
        await recovered(journal)
        await journal.room()
        assert not journal.holds_up
        assert [event.seq for event in await journal.events("run-1")] == [1, 2]


async def test_closing_ends_even_when_nothing_can_be_written(path: Path, locked: FileLock) -> None:
    journal = await SqliteJournal.open(path, give_up_s=1.0)
    with locked:
        journal.append(log())
        with pytest.raises(JournalFailed, match="1 records are not committed"):
            await journal.close()
        await journal.close()
    with pytest.raises(JournalFailed, match="closed"):
        await journal.flush()


async def test_a_file_has_one_lock_whatever_link_leads_to_it(path: Path, locked: FileLock) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    with locked, pytest.raises(JournalUnusable, match=r"journal\.db-lock"):
        await SqliteJournal.open(link, give_up_s=0.05)


async def test_a_cancelled_run_still_closes_its_journal(path: Path) -> None:
    with anyio.CancelScope() as scope:
        async with opened(path) as journal:
            for number in range(100):
                journal.append(log(number))
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert rows(path, "SELECT count(*) FROM journal") == [(100,)]


async def test_what_is_noted_of_a_run_that_was_deleted_is_of_a_run_and_can_be_deleted(
    path: Path,
) -> None:
    def sweep() -> None:
        vacuum(path, [Selection(before=1e9)], datetime.now(UTC))

    async with opened(path) as journal:
        journal.append(Record("run-1", "run_started", "run", {"target": "t", "input": 1}, 1.0))
        journal.append(Record("run-1", "run_completed", "run", {"output": 1}, 2.0))
        await journal.flush()
        await anyio.to_thread.run_sync(sweep)
        assert await journal.run("run-1") is None
        journal.append(log())
        await journal.flush()
        found = await journal.run("run-1")
        assert found is not None
        assert found.status == "completed"
        await anyio.to_thread.run_sync(sweep)
    assert rows(path, "SELECT run_id FROM journal UNION SELECT run_id FROM run") == []


async def test_an_unforeseen_error_ends_the_writer_and_tells_everybody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_store: object, _group: object) -> None:
        raise RuntimeError("a bug")

    journal = await SqliteJournal.open(path)
    monkeypatch.setattr("runtime.journal.store.FileStore.commit", broken)
    journal.append(log())
    with anyio.fail_after(PATIENCE_S / 3):  # at once, not after `give_up_s`
        for call in (journal.flush, journal.room):
            with pytest.raises(JournalFailed, match="a bug"):
                await call()
        with pytest.raises(JournalFailed, match="closed"):
            journal.append(log())
        with pytest.raises(JournalFailed, match="a bug"):
            await journal.close()
    assert "a bug" in (journal.statistics().failed or "")


async def test_a_damaged_file_fails_its_readers_with_the_next_step(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(200):
            journal.append(log(number, text="x" * 500))
    damage(path)
    async with opened(path) as journal:
        with pytest.raises(JournalFailed, match=r"journal\.db: .*malformed; restore a copy"):
            await journal.events("run-1", limit=1000)


async def test_a_database_that_another_program_locks_is_written_when_it_lets_go(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "runtime.journal")
    async with opened(path) as journal:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            journal.append(log())
            with anyio.fail_after(PATIENCE_S):
                while not (failed := journal.statistics().failed):
                    await anyio.lowlevel.checkpoint()
            assert "database is locked; another program keeps it locked" in failed
            assert "failing: " in repr(journal)
            assert journal.statistics().pending == 1
        await journal.flush()
        assert journal.statistics().failed is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


async def test_a_log_that_cannot_be_emptied_does_not_stop_the_writer(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_store: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("runtime.journal.store.FileStore.tidy", broken)
    async with opened(path) as journal:
        for number in range(2):
            journal.append(log(number))
            await journal.flush()
    assert {(r.levelname, r.__dict__["error"]) for r in caplog.records} == {
        ("WARNING", "disk I/O error")
    }
    assert rows(path, "SELECT count(*) FROM journal") == [(2,)]


FULL_DISK = """
    import json, logging, resource, sys
    import anyio
    from runtime.journal import JournalFailed, Record, SqliteJournal

    logged = []
    class Collect(logging.Handler):
        def emit(self, record):
            logged.append([record.levelname, getattr(record, "failures", None)])
    logging.getLogger("runtime.journal").addHandler(Collect())
    logging.getLogger("runtime.journal").setLevel(logging.INFO)

    def record(number):
        return Record("run-1", "log", f"{number}", {"text": "x" * 10_000}, 1.0)

    def limit(size):
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (size if size else hard, hard))

    async def main(path, recovers):
        journal = await SqliteJournal.open(path, give_up_s=0.3)
        journal.append(record(0))
        await journal.flush()
        limit(200_000)
        for number in range(1, 101):
            journal.append(record(number))
        said = {}
        try:
            await journal.flush()
        except JournalFailed as error:
            said["flush"] = str(error)
        try:
            await journal.room()
        except JournalFailed as error:
            said["room"] = str(error)
        said["failed"] = journal.statistics().failed
        said["pending"] = journal.statistics().pending
        if recovers:
            limit(None)
            while journal.statistics().pending:
                await anyio.sleep(0.01)
            await journal.flush()
            await journal.room()
            said["after"] = journal.statistics().failed
        try:
            await journal.close()
        except JournalFailed as error:
            said["close"] = str(error)
        print(json.dumps({**said, "logged": logged}))

    anyio.run(main, sys.argv[1], sys.argv[2] == "recovers")
"""


def test_a_full_disk_loses_nothing_once_there_is_space_again(path: Path) -> None:
    said = answer(FULL_DISK, path, "recovers")
    assert str(path) in said["flush"]
    assert "records are not committed" in said["flush"]
    assert "records are not committed" in said["room"]
    assert "free" in said["failed"]
    assert said["pending"] > 0
    assert said["after"] is None
    assert "close" not in said
    errors = [failures for level, failures in said["logged"] if level == "ERROR"]
    assert errors == [1, 10, 100][: len(errors)]
    assert errors
    assert [level for level, _ in said["logged"] if level == "INFO"] == ["INFO"]
    assert rows(path, "SELECT op FROM journal ORDER BY seq") == [(str(n),) for n in range(101)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_disk_that_stays_full_is_reported_at_the_end_and_does_not_hang_it(path: Path) -> None:
    said = answer(FULL_DISK, path, "never")
    assert f"{said['pending']} records are not committed" in said["close"]
    kept = 101 - said["pending"]
    assert rows(path, "SELECT op FROM journal ORDER BY seq") == [(str(n),) for n in range(kept)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


# --- processes -----------------------------------------------------------------------------------


WRITES_FOR_EVER = """
    import sys
    import anyio
    from runtime.journal import Record, SqliteJournal

    async def main(path):
        journal = await SqliteJournal.open(path, checkpoint_bytes=200_000)
        for number in range(10**9):
            for part in range(number % 7 + 1):
                journal.append(Record("run-1", "log", f"{number}.{part}", {"t": "x" * 500}, 1.0))
            await journal.flush()
            print(journal.statistics().committed, flush=True)

    anyio.run(main, sys.argv[1])
"""


@pytest.mark.parametrize("lines", [1, 20, 400])
def test_a_killed_process_leaves_all_that_it_flushed(path: Path, lines: int) -> None:
    with child(WRITES_FOR_EVER, path) as process:
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        last = process.stdout.read().splitlines()
    assert process.returncode == -signal.SIGKILL
    flushed = int(last[-1]) if last else lines
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    numbers = [seq for (seq,) in rows(path, "SELECT seq FROM journal ORDER BY seq")]
    assert len(numbers) >= flushed
    assert numbers == list(range(1, len(numbers) + 1))
    assert rows(path, "SELECT next_seq FROM run") == [(len(numbers) + 1,)]


async def test_a_journal_opens_after_a_kill_and_goes_on(path: Path) -> None:
    with child(WRITES_FOR_EVER, path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    async with opened(path) as journal:
        journal.append(log())
        await journal.flush()
        events = await journal.events("run-1", limit=100_000)
    assert events[-1].op == "line-0"
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


WRITES_A_SHARE = """
    import sys
    import anyio
    from runtime.journal import Record, SqliteJournal

    async def main(path, name):
        journal = await SqliteJournal.open(path, checkpoint_bytes=300_000)
        print("ready", flush=True)
        sys.stdin.readline()
        usage = {"usage": {"input_tokens": 2, "output_tokens": 3}}
        for number in range(1000):
            for run in (name, "shared"):
                op = f"{name}-{number}"
                journal.append(Record(run, "invocation_completed", op, usage, 1.0, 7))
            if number % 3 == 0:
                await journal.flush()
        await journal.close()

    anyio.run(main, sys.argv[1], sys.argv[2])
"""


async def test_processes_that_write_one_file_lose_nothing_and_leave_no_gap(path: Path) -> None:
    names = ("one", "two", "three")
    writers = [child(WRITES_A_SHARE, path, name, stdin=subprocess.PIPE) for name in names]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n", timeout=PATIENCE_S)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    async with opened(path) as journal:
        for name in names:
            events = await journal.events(name, limit=5000)
            assert [event.op for event in events] == [f"{name}-{n}" for n in range(1000)]
        shared = await journal.events("shared", limit=5000)
        assert [event.seq for event in shared] == list(range(1, 3001))
        row = await journal.run("shared")
    assert row is not None
    assert (row.calls, row.input_tokens, row.output_tokens) == (3000, 6000, 9000)
    assert row.cost_nano_usd == 21_000
