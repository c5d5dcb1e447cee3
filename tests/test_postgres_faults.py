"""What a server may do to a journal: be away, come back, lose an answer, refuse, be another's."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from runtime.journal import JournalFailed, JournalUnusable, Record
from runtime.journal.entry import encode
from runtime.journal.faults import DatabaseFault
from runtime.journal.fold import RunState
from runtime.journal.liveness import owner_note
from runtime.journal.ownership import ProcessIdentity
from runtime.journal.postgres.locks import locked
from runtime.journal.schema import VERSION
from runtime.journal.tenure import LEASE_S, Tenure
from tests import postgres
from tests.cli_workspace import command, environment, make_workspace
from tests.ledgers import begun, limit
from tests.postgres import sql_at as sql
from tests.stores import open_at
from tests.test_cli_resume import ENTRY, SLOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from runtime.journal import Journal
    from tests.postgres import Server

pytestmark = pytest.mark.real_time

PATIENCE_S = 60
ELSEWHERE = ProcessIdentity("elsewhere", 7, 100, "pid:[1]", "another boot", "another machine")


@pytest.fixture
def where() -> Iterator[str]:
    with postgres.address() as address:
        yield address


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server that may be stopped."""
    server = postgres.new_server()
    yield server
    server.remove()


@asynccontextmanager
async def opened(where: str, **options: Any) -> AsyncIterator[Journal]:
    journal = await open_at(where, **options)
    try:
        yield journal
    finally:
        await journal.close()


def log(number: int = 0, run: str = "run-1", **body: Any) -> Record:
    return Record(run, "log", f"line-{number}", {"number": number, **body}, 1.0)


async def numbers(journal: Journal, run: str = "run-1") -> list[tuple[int, int]]:
    """Return the number of each record in its run, and the one that it was made with."""
    return [(e.seq, e.body["number"]) for e in await journal.events(run, limit=10_000)]


def in_order(count: int) -> list[tuple[int, int]]:
    return [(number + 1, number) for number in range(count)]


async def until(reached: Callable[[], object]) -> None:
    """Wait for something that nobody rings a bell for."""
    with anyio.fail_after(PATIENCE_S):
        while not reached():  # noqa: ASYNC110  # another thread, or another process, does it
            await anyio.sleep(0.01)


async def committed(journal: Journal) -> None:
    """Wait until nothing waits, however long the server was away."""
    with anyio.fail_after(PATIENCE_S):
        while journal.statistics().pending:
            with suppress(JournalFailed):
                await journal.flush()
            await anyio.sleep(0.01)


# --- away, and back ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_is_restarted_costs_time_and_no_record(own: Server, mode: str) -> None:
    with own.database() as name:
        async with opened(own.url(name)) as journal:
            for number in range(100):
                journal.append(log(number))
            await journal.flush()
            await journal.events("run-1")  # a reader's connection, too, is of the old server
            own.stop(mode)
            for number in range(100, 200):
                journal.append(log(number))
            await until(lambda: journal.statistics().failed)
            assert journal.statistics().pending == 100
            await anyio.to_thread.run_sync(own.start)
            await committed(journal)
            assert await numbers(journal) == in_order(200)
            assert journal.statistics().failed is None


async def test_a_run_of_records_over_restarts_is_whole(own: Server) -> None:
    with own.database() as name:
        async with opened(own.url(name)) as journal:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(restart_often, own)
                for number in range(400):
                    journal.append(log(number))
                    await anyio.sleep(0.002)
            await committed(journal)
            assert await numbers(journal) == in_order(400)


def test_a_run_goes_on_over_a_restart_of_the_server(own: Server, tmp_path: Path) -> None:
    workspace, effects = make_workspace(tmp_path), tmp_path / "naps.txt"
    (workspace / "agents" / "naps.py").write_text(SLOW)
    (workspace / "catalog" / "agents" / "naps.yaml").write_text(ENTRY)
    with own.database() as name:
        argv = command("run", "naps", "--durability", "strict", "--json", "--run-id", "r")
        where = environment(MAGSAG_DB=own.url(name))
        with subprocess.Popen(argv, cwd=workspace, env=where, stdout=subprocess.PIPE) as process:
            while not (effects.exists() and "3" in effects.read_text()):
                assert process.poll() is None
                time.sleep(0.005)  # noqa: TID251  # a process of its own takes its time
            own.stop("immediate")
            own.start()
            out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert json.loads(out)["output"] == {"text": "[1, 2, 3, 4, 5]"}
        counted = own.sql("SELECT max(seq) = count(*) FROM magsag.journal", name)
    assert effects.read_text().split() == ["1", "2", "3", "4", "5"]
    assert counted == [(True,)]


async def restart_often(server: Server) -> None:
    for _ in range(2):
        await anyio.to_thread.run_sync(server.stop, "immediate")
        await anyio.to_thread.run_sync(server.start)


async def test_a_server_that_is_down_at_the_start_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(JournalUnusable, match=rf"127\.0\.0\.1:{port}/x: .*refused.*check that"):
        await open_at(f"postgresql://u@127.0.0.1:{port}/x")


async def test_a_host_that_does_not_answer_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(JournalUnusable, match=r"timeout.*check host, port and firewall"):
            await open_at(f"postgresql://u@127.0.0.1:{port}/x?connect_timeout=2")


async def test_a_full_disk_costs_time_and_no_record(where: str) -> None:
    async with opened(where) as journal:
        journal.append(log(0))
        await journal.flush()
        sql(where, FULL)
        journal.append(log(1))
        await until(lambda: journal.statistics().failed)
        assert "free some space on the server's disk" in str(journal.statistics().failed)
        sql(where, "DROP TRIGGER is_full ON magsag.journal")
        await committed(journal)
        assert await numbers(journal) == in_order(2)


FULL = """
    CREATE FUNCTION magsag.full() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'could not extend file: No space left' USING ERRCODE = '53100'; END $$;
    CREATE TRIGGER is_full BEFORE INSERT ON magsag.journal
    FOR EACH ROW EXECUTE FUNCTION magsag.full();
"""


# --- an answer that is lost ----------------------------------------------------------------------


class Wire:
    """A proxy that can cut a connection when a commit goes through it.

    Attributes:
        cut: what happens to the next commit: the answer is ``answer``-ed to nobody, or the commit
            itself is lost, while the server goes on to wait for it (``commit``).
    """

    def __init__(self, server: Server) -> None:
        self.cut: str | None = None
        self.cuts = 0
        self._server = server
        self._kept: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for each in self._kept:
            each.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._server.port))
                self._kept += [near, far]
                threading.Thread(target=self._forward, args=(near, far), daemon=True).start()
                threading.Thread(target=self._back, args=(far, near), daemon=True).start()

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65_536):
                if b"COMMIT" in data and self.cut is not None:
                    cut, self.cut = self.cut, None
                    self.cuts += 1
                    near.shutdown(socket.SHUT_RDWR)  # first, so that no answer can pass
                    if cut == "answer":
                        far.sendall(data)
                    return  # the server keeps its side, as behind a dead network
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def _back(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while data := far.recv(65_536):
                near.sendall(data)
            near.shutdown(socket.SHUT_RDWR)


@contextmanager
def wired() -> Iterator[tuple[Wire, str]]:
    shared = postgres.server()
    with shared.database() as name, closing(Wire(shared)) as wire:
        yield wire, f"postgresql://{postgres.USER}@127.0.0.1:{wire.port}/{name}?sslmode=disable"


@pytest.mark.parametrize("cut", ["answer", "commit"])
async def test_a_commit_whose_answer_is_lost_is_neither_lost_nor_made_twice(cut: str) -> None:
    with wired() as (wire, where):
        async with opened(where) as journal:
            for number in range(20):
                if number in {2, 5, 8}:  # not later: a statement gets a number with time
                    wire.cut = cut
                journal.append(log(number))
                await committed(journal)
            assert await numbers(journal) == in_order(20)
            done = journal.statistics()
            assert (done.committed, done.refused, wire.cuts) == (20, 0, 3)


async def test_an_admission_whose_answer_is_lost_is_counted_once() -> None:
    with wired() as (wire, where):
        async with opened(where) as journal:
            await committed(journal)
            wire.cut = "answer"
            assert await journal.admit(begun(needed=40), (limit(100),)) is None
            await committed(journal)
            assert (sql(where, RESERVED), wire.cuts) == ([(1, 40)], 1)


RESERVED = "SELECT count(*), sum(reserved_nano_usd)::int FROM magsag.call"


# --- who may write what --------------------------------------------------------------------------


STUCK = """
    CREATE FUNCTION magsag.stuck() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.run_id = 'slow' THEN PERFORM pg_advisory_xact_lock_shared(4711); END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER is_stuck AFTER INSERT ON magsag.journal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION magsag.stuck();
"""


async def test_writers_of_other_runs_do_not_wait_for_one_another(where: str) -> None:
    """One hangs in its commit, with all its locks; another writes calls of the same names."""
    import psycopg  # noqa: PLC0415  # an extra

    async with opened(where) as slow, opened(where) as quick:
        sql(where, STUCK)
        with psycopg.connect(where, autocommit=True) as lock:
            lock.execute("SELECT pg_advisory_lock(4711)")
            for each in call("slow"):
                slow.append(each)
            await until(lambda: lock.execute(WAITING).fetchone() == (1,))
            for number in range(20):
                for each in call(f"quick-{number}"):
                    quick.append(each)
            await quick.flush()
            assert lock.execute(WAITING).fetchone() == (1,)
            assert await slow.run("slow") is None
            lock.execute("SELECT pg_advisory_unlock(4711)")
            await slow.flush()
        assert await slow.run("slow") is not None


WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def call(run: str) -> list[Record]:
    asked = {"agent": "a", "provider": "p", "tenant": "t", "model": "m", "reserved_nano_usd": 9}
    return [
        Record(run, "run_started", "", {"target": "t"}, 1.0),
        Record(run, "invocation_started", "c", asked, 1.0),
        Record(run, "invocation_completed", "c", {"settled_nano_usd": 5}, 2.0, 5),
    ]


async def test_an_older_state_of_a_run_never_replaces_a_newer_one(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a writer that decides by what it once knew is refused, by the statement itself."""
    from runtime.journal.location import Address  # noqa: PLC0415  # an extra
    from runtime.journal.postgres import store  # noqa: PLC0415  # an extra

    async with opened(where) as journal:
        journal.append(log(0))
        await journal.flush()
        sql(where, "UPDATE magsag.run SET epoch = 2")
        known = RunState("run-1", 1.0, "", next_seq=7, epoch=1)
        with closing(store.ServerStore(Address(where), Tenure("somebody"))) as stale:
            monkeypatch.setattr(store, "locked", lambda *_: ({"run-1": known}, {}, {}))
            with pytest.raises(DatabaseFault, match="written a run meanwhile"):
                stale.commit([encode(log(7))])
        assert sql(where, "SELECT epoch, next_seq FROM magsag.run") == [(2, 2)]
        assert await numbers(journal) == in_order(1)


async def test_a_large_text_that_is_being_deleted_is_kept_for_whoever_needs_it(where: str) -> None:
    import psycopg  # noqa: PLC0415  # an extra

    large = "x" * 100_000
    async with opened(where) as journal:
        journal.append(log(0, run="old", text=large))
        await journal.flush()
        sql(where, "DELETE FROM magsag.journal; DELETE FROM magsag.run")
        with psycopg.connect(where) as broom:  # as a vacuum in its transaction
            broom.execute("DELETE FROM magsag.blob")
            journal.append(log(0, text=large))
            await until(lambda: broom.execute(WAITING).fetchone() == (1,))
            broom.commit()
        await committed(journal)
        (event,) = await journal.events("run-1")
        assert event.body["text"] == large


async def test_those_who_open_an_empty_database_at_once_make_one_journal(where: str) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(write_one, where, number)
    async with opened(where) as journal:
        assert len(await journal.runs()) == 6
    assert sql(where, "SELECT version FROM magsag.schema_version") == [(VERSION,)]


async def write_one(where: str, number: int) -> None:
    async with opened(where) as journal:
        journal.append(log(0, run=f"run-{number}"))


async def test_a_text_that_the_server_cannot_hold_loses_no_record(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(where) as journal:
        journal.append(Record("r", "run_failed", "a\0b", {"error": "a \0 b \ud800"}, 1.0))
        await journal.flush()
        row = await journal.run("r")
        assert row is not None
        assert row.error == "a \ufffd b ?"
        assert [e.body["error"] for e in await journal.events("r")] == ["a \0 b \ud800"]
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


# --- what is no journal --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "CREATE SCHEMA magsag; CREATE TABLE magsag.schema_version AS SELECT 1000 AS version",
            rf"schema 1000, .* up to {VERSION}; install a newer version",
        ),
        (
            "CREATE SCHEMA magsag; CREATE TABLE magsag.orders (id int)",
            "its schema magsag is another program's; choose another database",
        ),
    ],
    ids=["newer", "foreign"],
)
async def test_what_is_no_journal_of_ours_is_refused_and_left_alone(
    where: str, statement: str, message: str
) -> None:
    sql(where, statement)
    with pytest.raises(JournalUnusable, match=message):
        await open_at(where)
    assert sql(where, TABLES) == [(1,)]


TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'magsag'"


async def test_another_program_s_tables_beside_ours_are_no_matter(where: str) -> None:
    sql(where, "CREATE TABLE public.run (id int); CREATE TABLE public.journal (id int)")
    await write_one(where, 1)
    assert sql(where, "SELECT count(*) FROM public.run") == [(0,)]
    sql(where, "DROP TABLE public.run; DROP TABLE public.journal")


async def test_what_a_user_may_not_do_is_said_with_the_next_step() -> None:
    shared = postgres.server()
    with ExitStack() as stack:
        name = stack.enter_context(shared.database())
        shared.sql("CREATE ROLE guest LOGIN")
        stack.callback(shared.sql, "DROP ROLE guest")
        guest = shared.url(name).replace(f"//{postgres.USER}@", "//guest@")
        with pytest.raises(JournalUnusable, match=r"permission denied.*GRANT CREATE ON DATABASE"):
            await open_at(guest)


async def test_a_wrong_password_is_said_and_not_shown(own: Server) -> None:
    own.sql("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'r%ight'")
    own.guard("guarded")
    with own.database() as name:
        url = own.url(name, tcp=True).replace(f"//{postgres.USER}@", "//guarded:{}@")
        with pytest.raises(JournalUnusable, match=r"password.*check the user and") as refused:
            await open_at(url.format("wr%25ong"))
        assert "wr%" not in str(refused.value)
        await write_one(url.format("r%25ight"), 1)
    own.sql("DROP ROLE guarded")


async def test_a_database_of_another_encoding_is_refused() -> None:
    shared = postgres.server()
    shared.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(JournalUnusable, match=r"LATIN1.*createdb -T template0 -E UTF8"):
        await open_at(shared.url("latin"))
    shared.sql("DROP DATABASE latin")


# --- leases --------------------------------------------------------------------------------------


async def test_a_writer_that_stands_still_keeps_others_out_for_less_than_their_leases_bear(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands, goes = threading.Event(), threading.Event()

    def locks(connection: Any, group: Any) -> Any:
        found = locked(connection, group)
        if not stands.is_set():
            stands.set()
            goes.wait(PATIENCE_S)
        return found

    async with opened(where) as still, opened(where, give_up_s=LEASE_S / 3) as other:
        still.append(log(0))
        await still.flush()
        monkeypatch.setattr("runtime.journal.postgres.store.locked", locks)
        still.append(log(1))
        await until(stands.is_set)
        other.append(log(2))
        await other.flush()
        goes.set()
        await committed(still)
        assert await numbers(other) == [(1, 0), (2, 2), (3, 1)]


async def test_a_lease_is_of_the_server_s_clock(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose own clock is an hour ahead takes no run from anybody, and keeps its own no longer."""
    started = {"target": "t", "owner": str(ELSEWHERE), "pid": 7, "host": "elsewhere"}
    record = Record("run", "run_started", "", started, 1.0)
    resumed = Record("run", "run_resumed", "r", {**owner_note(), "epoch": 2}, 2.0, epoch=2)
    monkeypatch.setattr("runtime.journal.stored.this_process", lambda: ELSEWHERE)
    async with opened(where) as other:
        other.append(record)
        await other.flush()
        monkeypatch.undo()
        monkeypatch.setattr("time.time_ns", lambda: 2**62)
        async with opened(where) as journal:
            assert await journal.take_over(resumed) is False
            sql(where, "UPDATE magsag.lease SET held_until = extract(epoch FROM now()) - 1")
            assert await journal.take_over(resumed) is True
