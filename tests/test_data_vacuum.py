"""``data vacuum``: old runs go, money stays counted, and nobody who writes is disturbed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime.cli.text import size_of
from runtime.journal import SqliteJournal, broom, scope_of, sweep
from runtime.journal.calls import day_of
from runtime.journal.search_file import index_of
from tests.cli_workspace import ROOT, Cli, environment
from tests.data_journals import DAY, a_call, a_record, a_run, an_end, change, line, rows, write

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.journal import Balance, Record

NOW = datetime.now(UTC).timestamp()
HERE = socket.gethostname()
LARGE = "x" * 70_000


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return line(tmp_path, capsys, monkeypatch)


@pytest.fixture
def journal(cli: Cli) -> Path:
    return cli.workspace / "journal.db"


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def ended(run: str, days: float, *, records: int = 0, cost: int = 0) -> list[Record]:
    """Return a run with one call that ended some days ago."""
    at = NOW - days * DAY
    return [
        *a_run(run, at - 60),
        *a_call(run=run, at=at - 50, asked={"tenant": "acme"}, cost=cost),
        *(a_record("log", run=run, at=at - 40, text="words of old") for _ in range(records)),
        *an_end(run, at),
    ]


def runs(path: Path) -> list[str]:
    return [run_id for (run_id,) in rows(path, "SELECT run_id FROM run ORDER BY run_id")]


def counts(path: Path) -> dict[str, int]:
    """Return how many rows each table has."""
    return {
        "run": rows(path, "SELECT count(*) FROM run")[0][0],
        "journal": rows(path, "SELECT count(*) FROM journal")[0][0],
        "call": rows(path, "SELECT count(*) FROM call")[0][0],
        "blob": rows(path, "SELECT count(*) FROM blob")[0][0],
        "spending": rows(path, "SELECT count(*) FROM spending")[0][0],
    }


def freed(cli: Cli, *argv: str) -> dict[str, Any]:
    code, out, err = cli("data", "vacuum", "--json", *argv)
    assert (code, err) == (0, "")
    facts: dict[str, Any] = json.loads(out)
    return facts


def test_runs_that_ended_before_are_deleted_with_all_that_is_theirs(
    cli: Cli, journal: Path
) -> None:
    write(journal, ended("old", 31, records=500), ended("older", 400), ended("young", 29))
    facts = freed(cli, "--older-than", "30d")
    size = facts.pop("bytes")
    assert facts == {
        "dry_run": False,
        "runs": 2,
        "records": 508,
        "calls": 2,
        "contents": 0,
        "days": 0,
        "over_bytes": 0,
        "archives": [],
    }
    assert size > 0
    assert runs(journal) == ["young"]
    left = rows(journal, "SELECT run_id FROM journal UNION SELECT run_id FROM call")
    assert left == [("young",)]
    assert rows(journal, "PRAGMA freelist_count") == [(0,)]
    assert rows(journal, "PRAGMA integrity_check") == [("ok",)]


def test_it_says_what_was_deleted(cli: Cli, journal: Path) -> None:
    write(journal, ended("old", 31))
    code, out, err = cli("data", "vacuum", "--older-than", "30d")
    deleted, size = out.splitlines()
    assert (code, err) == (0, "")
    assert deleted == (
        "deleted 1 run with 4 records, 1 call and 0 large texts; 0 rows of old spending"
    )
    assert size.startswith("freed ")


def test_without_a_time_nothing_is_deleted_but_the_file_gets_small(cli: Cli, journal: Path) -> None:
    write(journal, ended("old", 900, records=2_000), ended("young", 1))
    before = counts(journal)
    change(journal, "DELETE FROM journal WHERE kind = 'log'")
    facts = freed(cli)
    assert (facts["runs"], facts["records"], facts["days"]) == (0, 0, 0)
    assert facts["bytes"] > 100_000
    assert counts(journal) == before | {"journal": 8}
    assert freed(cli)["bytes"] == 0


def test_runs_that_are_under_way_stay_and_those_of_dead_processes_go(
    cli: Cli, journal: Path, dead: int
) -> None:
    long_ago = NOW - 90 * DAY
    write(
        journal,
        a_run("dead", long_ago, pid=dead, host=HERE),
        a_run("died lately", NOW - 60, pid=dead, host=HERE),
        a_run("wrote lately", long_ago, pid=dead, host=HERE),
        [a_record("log", run="wrote lately", at=NOW - 60)],
        a_run("ours", long_ago, pid=os.getpid(), host=HERE),
        a_run("elsewhere", long_ago, pid=dead, host="elsewhere", owner="7/////elsewhere"),
        a_run("left elsewhere", long_ago, pid=dead, host="elsewhere"),
        a_run("of nobody", long_ago),
        ended("over", 90),
        [a_record("log", run="over", at=NOW - 60)],
    )
    change(journal, "INSERT INTO lease VALUES ('7/////elsewhere', unixepoch() + 3600)")
    assert freed(cli, "--older-than", "30d", "--dry-run")["runs"] == 2
    assert freed(cli, "--older-than", "30d")["runs"] == 2
    assert runs(journal) == [
        *("died lately", "elsewhere", "of nobody", "ours", "over", "wrote lately")
    ]


def test_a_large_text_goes_with_the_last_record_that_has_it(cli: Cli, journal: Path) -> None:
    shared, own = {"text": LARGE}, {"text": f"{LARGE}y"}
    write(
        journal,
        ended("old", 60),
        [a_record("log", run="old", at=NOW - 60 * DAY, **body) for body in (shared, own)],
        ended("young", 1),
        [a_record("log", run="young", at=NOW - DAY, **shared)],
    )
    assert freed(cli, "--older-than", "30d", "--dry-run")["contents"] == 1
    assert freed(cli, "--older-than", "30d")["contents"] == 1
    assert counts(journal)["blob"] == 1
    assert freed(cli, "--older-than", "1h")["contents"] == 1
    assert counts(journal) == dict.fromkeys(("run", "journal", "call", "blob"), 0) | {
        "spending": counts(journal)["spending"]
    }


def balance(path: Path, subject: Any, name: str, at: float) -> Balance:
    async def asked() -> Balance:
        journal = await SqliteJournal.open(path)
        try:
            return await journal.balance(scope_of(subject, name, "day", day_of(at)))
        finally:
            await journal.close()

    return anyio.run(asked)


def test_what_deleted_runs_have_spent_stays_counted(cli: Cli, journal: Path, dead: int) -> None:
    at = NOW - 60 * DAY
    reserved = {"tenant": "acme", "reserved_nano_usd": 900}
    write(
        journal,
        ended("old", 60, cost=500),
        a_run("dead", at - 50, pid=dead, host=HERE),
        a_call("lost", run="dead", at=at - 50, asked=reserved)[:1],
        a_run("left over", at - 60),
        a_call("never settled", run="left over", at=at - 50, asked=reserved)[:1],
        an_end("left over", at),
    )
    assert freed(cli, "--older-than", "30d")["runs"] == 3
    for subject, name in (("tenant", "acme"), ("provider", "openai"), ("agent", "main")):
        assert balance(journal, subject, name, at - 50) == (500 + 900 + 900, 0)


def test_spending_is_forgotten_after_four_hundred_days(cli: Cli, journal: Path) -> None:
    write(journal, ended("a", 402, cost=5), ended("b", 398, cost=5))
    days = sorted({day for (day,) in rows(journal, "SELECT day FROM spending")})
    assert freed(cli, "--older-than", "500d", "--dry-run")["days"] == 3
    facts = freed(cli, "--older-than", "500d")
    assert (facts["days"], facts["runs"]) == (3, 0)
    assert {day for (day,) in rows(journal, "SELECT day FROM spending")} == {days[-1]}


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(cli: Cli, journal: Path) -> None:
    write(journal, ended("old", 31, records=900), ended("young", 29, records=900))
    before, files = journal.read_bytes(), set(cli.workspace.iterdir())
    facts = freed(cli, "--older-than", "30d", "--dry-run")
    assert (facts["dry_run"], facts["runs"], facts["records"], facts["calls"]) == (True, 1, 904, 1)
    code, out, _ = cli("data", "vacuum", "--older-than", "30d", "--dry-run")
    deletes, frees = out.splitlines()
    assert code == 0
    assert deletes.startswith("would delete 1 run with 904 records, 1 call ")
    assert frees.startswith("would free about ")
    assert journal.read_bytes() == before
    assert {each for each in cli.workspace.iterdir() if not each.name.endswith(("wal", "shm"))} == (
        {each for each in files if not each.name.endswith(("wal", "shm"))}
    )
    done = freed(cli, "--older-than", "30d")
    assert {**done, "bytes": 0, "dry_run": True} == {**facts, "bytes": 0}
    assert facts["bytes"] == pytest.approx(done["bytes"], rel=0.5)
    assert cli("data", "vacuum", "--dry-run")[1] == "would free about 0 bytes\n"


def test_a_date_is_a_time_too(cli: Cli, journal: Path) -> None:
    write(journal, ended("old", 31), ended("young", 29))
    day = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
    assert freed(cli, "--older-than", day)["runs"] == 1


def test_the_words_of_deleted_runs_are_in_no_index_any_more(cli: Cli, journal: Path) -> None:
    write(journal, ended("old", 31, records=1), ended("young", 1, records=1))
    assert len(json.loads(cli("data", "search", "words of old")[1])) == 2
    freed(cli)
    assert index_of(journal).exists()
    freed(cli, "--older-than", "30d")
    assert not index_of(journal).exists()
    (hit,) = json.loads(cli("data", "search", "words of old")[1])
    assert hit["run_id"] == "young"


def test_many_runs_are_deleted_a_few_at_a_time(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_GROUP", 10)
    young = (ended(f"run-{n:02}-young", 1) for n in range(15))
    write(journal, *young, *(ended(f"run-{n:02}", 31) for n in range(40)))
    transactions: list[int] = []
    pause = broom.Broom.pause

    def counted(each: broom.Broom) -> None:
        transactions.append(each.freed.runs)
        pause(each)

    monkeypatch.setattr(broom.Broom, "pause", counted)
    assert freed(cli, "--older-than", "30d")["runs"] == 40
    assert transactions[:13] == [*range(3, 40, 3)]
    assert set(transactions[13:]) == {40}
    assert len(runs(journal)) == 15


WRITER = """
import sys, anyio
from runtime.journal import Record, SqliteJournal

async def main(path):
    journal = await SqliteJournal.open(path, checkpoint_bytes=65_536)
    number = 0
    print("ready", flush=True)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            async def until_told():
                await anyio.to_thread.run_sync(sys.stdin.readline)
                scope.cancel()
            tasks.start_soon(until_told)
            while True:
                for _ in range(20):
                    body = {"number": number, "text": "x" * (number % 7) * 100}
                    journal.append(Record("live", "log", f"line-{number}", body, 1.0))
                    number += 1
                await journal.flush()
    await journal.close()
    print(number)

anyio.run(main, sys.argv[1])
"""


def test_another_process_goes_on_writing_the_journal(cli: Cli, journal: Path) -> None:
    write(journal, *(ended(f"old-{n}", 31, records=20) for n in range(50)))
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(journal)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    assert freed(cli, "--older-than", "30d")["runs"] == 50
    for _ in range(5):
        freed(cli)
    out, err = writer.communicate("enough\n")
    assert (writer.returncode, err) == (0, "")
    assert runs(journal) == ["live"]
    numbers = rows(journal, "SELECT json_extract(body, '$.number') FROM journal ORDER BY seq")
    assert [number for (number,) in numbers] == [*range(int(out))]
    assert rows(journal, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.real_time
async def test_a_journal_that_is_open_here_goes_on_after_it(cli: Cli, journal: Path) -> None:
    opened = await SqliteJournal.open(journal)
    for record in [
        *ended("old", 31, records=50),
        *a_run("live", NOW - 90 * DAY),
        *a_call(run="live")[:1],
    ]:
        opened.append(record)
    await opened.flush()
    argv = [sys.executable, "-m", "runtime", "data", "vacuum", "--older-than", "30d", "--json"]
    done = await anyio.run_process([*argv, "--db", str(journal)], env=environment())
    assert json.loads(done.stdout)["runs"] == 1
    for record in [*a_call(run="live", cost=7)[1:], *an_end("live", NOW)]:
        opened.append(record)
    await opened.flush()
    row = await opened.run("live")
    assert row is not None
    assert (row.status, row.cost_nano_usd, await opened.run("old")) == ("completed", 7, None)
    assert [event.seq for event in await opened.events("live")] == [1, 2, 3, 4]
    await opened.close()


def test_a_reader_in_the_way_delays_only_the_file(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3  # noqa: PLC0415  # only here

    monkeypatch.setattr(broom, "_CHECKPOINT_TRIES", 2)
    write(journal, ended("old", 31, records=500), ended("young", 1))
    reader = sqlite3.connect(journal, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM run").fetchone() == (2,)
    code, out, err = cli("data", "vacuum", "--older-than", "30d")
    assert (code, out.split()[:3]) == (0, ["deleted", "1", "run"])
    assert "somebody reads the journal" in err
    assert reader.execute("SELECT count(*) FROM run").fetchone() == (2,)
    reader.close()
    assert runs(journal) == ["young"]
    assert freed(cli)["runs"] == 0


def test_without_a_journal_there_is_nothing_to_do_and_none_is_made(cli: Cli) -> None:
    for argv in ((), ("--older-than", "1d"), ("--dry-run",)):
        code, _, err = cli("data", "vacuum", *argv)
        assert code == 0
        assert "there is no journal " in err
    assert list(cli.workspace.iterdir()) == []


def test_what_is_no_journal_is_left_alone(cli: Cli, journal: Path) -> None:
    change(journal, "CREATE TABLE precious (x)")
    (cli.workspace / "text").write_text("no database " * 100)
    before = journal.read_bytes()
    for argv, words in (
        ((), "is the database of another program"),
        (("--db", "text"), "choose another file with --db"),
        (("--db", ":memory:"), "name a file"),
        (("--older-than", "soon"), "--older-than 'soon' is no time; write it like 30m"),
    ):
        code, out, err = cli("data", "vacuum", *argv)
        (told,) = err.splitlines()
        assert (code, out) == (1, "")
        assert words in told
    assert journal.read_bytes() == before


def test_sizes_are_readable() -> None:
    assert [size_of(count) for count in (0, 1, 999, 1_000, 1_250_000, 3 * 10**15)] == [
        *("0 bytes", "1 byte", "999 bytes", "1.0 kB", "1.2 MB", "3000.0 TB")
    ]
