"""``data archive`` and ``data restore``: runs leave the journal, and come back the same."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.journal import archive, broom, restore, sweep
from runtime.journal.archive_rows import ORDER
from tests.cli_workspace import ROOT, Cli
from tests.data_journals import DAY, a_call, a_record, a_run, an_end, change, line, rows, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runtime.journal import Record

NOW = datetime.now(UTC).timestamp()
HERE = socket.gethostname()
LARGE = "x" * 70_000
TABLES = ("run", "journal", "call", "blob", "spending")


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


def ended(
    run: str, days: float, *, records: int = 1, cost: int = 5, text: str = ""
) -> list[Record]:
    """Return a run with one call that ended some days ago."""
    at = NOW - days * DAY
    return [
        *a_run(run, at - 60, input={"question": "wie geht's, 世界?"}),
        *a_call(run=run, at=at - 50, asked={"tenant": "acme"}, cost=cost),
        *(a_record("log", run=run, at=at - 40, text=f"note {n}{text}") for n in range(records)),
        *an_end(run, at),
    ]


def contents(path: Path) -> dict[str, set[tuple[Any, ...]]]:
    """Return all rows of all tables."""
    return {table: {*rows(path, f"SELECT * FROM {table}")} for table in TABLES}  # noqa: S608


def runs(path: Path) -> list[str]:
    return [run_id for (run_id,) in rows(path, "SELECT run_id FROM run ORDER BY run_id")]


def done(cli: Cli, *argv: str) -> dict[str, Any]:
    code, out, err = cli("data", *argv, "--json")
    assert (code, err) == (0, "")
    facts: dict[str, Any] = json.loads(out)
    return facts


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl.gz"))


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.name != ".lock")


# --- there and back ------------------------------------------------------------------------------


def test_runs_leave_the_journal_and_come_back_row_for_row(cli: Cli, journal: Path) -> None:
    shared, own = {"text": LARGE}, {"text": f"{LARGE}y"}
    write(
        journal,
        ended("old", 40),
        [a_record("log", run="old", at=NOW - 40 * DAY, **body) for body in (shared, own, shared)],
        ended("older", 60, records=300),
        ended("young", 1),
        [a_record("log", run="young", at=NOW - DAY, **shared)],
    )
    before = contents(journal)
    asked = [("data", "export"), ("runs", "--json"), ("show", "old", "--json"), ("data", "query")]
    said = [cli(*argv) for argv in asked]
    facts = done(cli, "archive", "kept", "--older-than", "30d")
    assert (facts["runs"], facts["records"], facts["calls"]) == (2, 312, 2)
    assert facts["contents"] == 1  # the other one is the young run's, too
    assert facts["bytes"] > 0
    (file,) = files(cli.workspace / "kept")
    assert facts["archives"] == [f"kept/{file.name}"]
    assert runs(journal) == ["young"]
    assert rows(journal, "PRAGMA freelist_count") == [(0,)]
    assert contents(journal)["spending"] == before["spending"]
    back = done(cli, "restore", str(file))
    assert (back["runs"], back["records"], back["present"]) == (2, 312, 0)
    assert contents(journal) == before
    assert [cli(*argv) for argv in asked] == said
    assert rows(journal, "PRAGMA integrity_check") == [("ok",)]
    assert rows(journal, "PRAGMA foreign_key_check") == []


def test_every_table_that_has_rows_of_runs_is_archived_but_who_works_on_them(journal: Path) -> None:
    write(journal, a_run())
    tables = [
        name for (name,) in rows(journal, "SELECT name FROM sqlite_master WHERE type='table'")
    ]
    of_runs = {
        table
        for table in tables
        if any(row[1] == "run_id" for row in rows(journal, f"PRAGMA table_info({table})"))
    }
    assert of_runs == {*ORDER, "branch"}


def test_who_had_the_branches_of_a_run_is_forgotten_with_it(cli: Cli, journal: Path) -> None:
    write(journal, ended("old", 40), ended("young", 1))
    change(journal, "INSERT INTO branch SELECT run_id, 'main:1/leaf:1', 1, 2, 'me' FROM run")
    done(cli, "archive", "kept", "--older-than", "30d")
    assert rows(journal, "SELECT run_id FROM branch") == [("young",)]


def test_what_is_found_by_its_words_is_found_again(cli: Cli, journal: Path) -> None:
    write(journal, ended("old", 40, text=" of a walrus"), ended("young", 1))
    found = cli("data", "search", "walrus")
    assert '"old"' in found[1]
    done(cli, "archive", "kept", "--older-than", "30d")
    assert json.loads(cli("data", "search", "walrus")[1]) == []
    done(cli, "restore", *map(str, files(cli.workspace / "kept")))
    assert cli("data", "search", "walrus") == found


def test_an_archive_is_looked_into_in_a_journal_of_its_own(cli: Cli, journal: Path) -> None:
    write(journal, ended("old", 40))
    trail = cli("data", "export")
    done(cli, "archive", "kept", "--run-id", "old")
    (file,) = files(cli.workspace / "kept")
    assert done(cli, "restore", str(file), "--db", "new/look.db")["runs"] == 1
    assert cli("data", "export", "--db", "new/look.db") == trail
    assert runs(journal) == []


def test_the_file_says_itself_what_is_in_it(cli: Cli, journal: Path) -> None:
    write(journal, ended("old", 40), [a_record("log", run="old", at=NOW - 40 * DAY, text=LARGE)])
    done(cli, "archive", "kept", "--run-id", "old")
    (file,) = files(cli.workspace / "kept")
    head, *lines, end = map(json.loads, gzip.decompress(file.read_bytes()).splitlines())
    day = datetime.fromtimestamp(NOW - 40 * DAY - 60, UTC).date()
    assert file.name.startswith(f"{day}_{day}_")
    assert head["magsag_archive"] == 1
    assert [table for table, _ in lines] == [
        *("run", "journal", "journal", "journal", "journal", "journal", "blob", "journal", "call")
    ]
    first = dict(zip(head["tables"]["journal"], lines[1][1], strict=True))
    assert json.loads(first["body"])["input"] == {"question": "wie geht's, 世界?"}
    assert end["end"] == {"runs": 1, "records": 6, "calls": 1, "contents": 1}
    assert file.stat().st_mode & 0o777 == journal.stat().st_mode & 0o666


BODIES = st.dictionaries(
    st.text(max_size=8),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=50),
    max_size=4,
)


@given(
    bodies=st.lists(BODIES, max_size=5),
    times=st.lists(st.floats(1e9, NOW - 100), min_size=1, max_size=4),
    costs=st.lists(st.integers(0, 10**15), min_size=1, max_size=3),
)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_in_a_run_comes_back(
    cli: Cli, bodies: list[dict[str, Any]], times: list[float], costs: list[int]
) -> None:
    folder = cli.workspace / f"{len(list(cli.workspace.iterdir()))}"
    folder.mkdir()
    path = folder / "journal.db"
    for number, at in enumerate(times):
        run = f"run {number} \N{SNOWMAN}"
        calls = (a_call(f"{n}", run=run, at=at, cost=cost) for n, cost in enumerate(costs))
        said = [a_record("log", f"{n}", run=run, at=at, said=b) for n, b in enumerate(bodies)]
        write(path, a_run(run, at), *calls, said, an_end(run, at + 1))
    before = contents(path)
    done(cli, "archive", str(folder), "--older-than", "0m", "--db", str(path))
    assert runs(path) == []
    done(cli, "restore", *map(str, files(folder)), "--db", str(path))
    assert contents(path) == before


# --- which runs ----------------------------------------------------------------------------------


def test_only_runs_that_are_over_are_archived(cli: Cli, journal: Path, dead: int) -> None:
    now, long_ago = datetime.now(UTC).timestamp(), NOW - 90 * DAY
    write(
        journal,
        a_run("dead", long_ago, pid=dead, host=HERE),
        a_run("ours", long_ago, pid=os.getpid(), host=HERE),
        a_run("parked", long_ago),
        ended("over", 90),
        a_run("call in flight", now - 30),
        a_call(run="call in flight", at=now - 20)[:1],
        an_end("call in flight", now),
    )
    change(journal, "UPDATE run SET status = 'waiting' WHERE run_id = 'parked'")
    assert done(cli, "archive", "kept", "--older-than", "0m")["runs"] == 1
    assert runs(journal) == ["call in flight", "dead", "ours", "parked"]
    code, out, _ = cli("data", "vacuum", "--max-mb", "0.001", "--json")
    assert (code, json.loads(out)["runs"]) == (0, 0)


def test_what_several_options_say_must_all_hold(cli: Cli, journal: Path) -> None:
    failed = [a_record("run_failed", run="b", at=NOW - 50 * DAY, error="no", reason="crash")]
    write(journal, ended("a", 50), a_run("b", NOW - 51 * DAY), failed, ended("c", 2))
    assert done(cli, "archive", "kept", "--status", "failed", "--dry-run")["runs"] == 1
    code, out, err = cli("data", "archive", "kept", "--status", "failed", "--run-id", "a", "--json")
    assert (code, json.loads(out)["runs"]) == (0, 0)
    assert "1 run stayed: " in err
    assert done(cli, "archive", "kept", "--run-id", "b", "--run-id", "c")["runs"] == 2
    assert runs(journal) == ["a"]
    assert len(files(cli.workspace / "kept")) == 1


def test_the_oldest_go_until_the_journal_is_small_enough(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_LEAST_BYTES", 1)
    write(journal, *(ended(f"run-{n:02}", 100 - n, records=200) for n in range(60)))
    size = journal.stat().st_size
    foreseen = done(cli, "archive", "kept", "--max-mb", str(size / 2e6), "--dry-run")
    facts = done(cli, "archive", "kept", "--max-mb", str(size / 2e6))
    left = runs(journal)
    assert left == [f"run-{n:02}" for n in range(60 - len(left), 60)]
    assert 15 < len(left) < 35
    assert facts["runs"] == pytest.approx(foreseen["runs"], rel=0.3)
    assert facts["over_bytes"] == 0
    assert journal.stat().st_size <= size / 2
    assert done(cli, "archive", "kept", "--max-mb", str(size / 2e6))["runs"] == 0


def test_vacuum_keeps_below_a_size_and_can_archive_what_goes(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_LEAST_BYTES", 1)
    write(journal, *(ended(f"run-{n:02}", 100 - n, records=200) for n in range(30)))
    before = contents(journal)
    size = journal.stat().st_size
    facts = done(cli, "vacuum", "--max-mb", str(size / 2e6), "--archive", "kept")
    assert journal.stat().st_size <= size / 2
    assert 0 < len(runs(journal)) == 30 - facts["runs"]
    done(cli, "restore", *facts["archives"])
    assert contents(journal) == before
    assert done(cli, "vacuum", "--max-mb", str(size / 2e6))["archives"] == []
    assert journal.stat().st_size <= size / 2


def test_vacuum_says_how_much_could_not_be_freed(cli: Cli, journal: Path) -> None:
    write(journal, a_run("ours", NOW, text="x" * 50_000, pid=os.getpid(), host=HERE))
    code, _, err = cli("data", "vacuum", "--max-mb", "0.02")
    assert code == 0
    assert "more than that stay in use: what is left is under way" in err
    code, out, _ = cli("data", "vacuum", "--max-mb", "0.02", "--json")
    assert json.loads(out)["over_bytes"] > 50_000


def test_age_and_size_are_two_reasons_to_go(cli: Cli, journal: Path) -> None:
    write(journal, *(ended(f"run-{n}", 40.5 - n, records=200) for n in range(20)))
    facts = done(cli, "vacuum", "--older-than", "36d", "--max-mb", "1000")
    assert facts["runs"] == 5


# --- money ---------------------------------------------------------------------------------------


def test_calls_that_nobody_settled_are_spent_once(cli: Cli, journal: Path) -> None:
    at = NOW - 60 * DAY
    write(
        journal,
        a_run("left over", at - 60),
        a_call("never", run="left over", at=at, asked={"tenant": "t", "reserved_nano_usd": 9})[:1],
        an_end("left over", at),
    )
    done(cli, "archive", "kept", "--older-than", "30d")
    spent = contents(journal)["spending"]
    assert {(subject, amount) for subject, _, _, amount in spent} == {
        *(("agent", 9), ("provider", 9), ("tenant", 9))
    }
    done(cli, "restore", *map(str, files(cli.workspace / "kept")))
    assert contents(journal)["spending"] == spent
    write(journal, ended("young", 1, cost=0))  # whoever opens it settles nothing again
    assert spent <= contents(journal)["spending"]
    done(cli, "vacuum", "--older-than", "30d")
    assert spent <= contents(journal)["spending"]


# --- again, and not the same ---------------------------------------------------------------------


def test_a_restore_is_repeated_without_harm(cli: Cli, journal: Path) -> None:
    write(journal, ended("a", 50), ended("b", 40), [a_record("log", run="b", text=LARGE)])
    before = contents(journal)
    done(cli, "archive", "kept", "--older-than", "0m")
    (file,) = files(cli.workspace / "kept")
    done(cli, "restore", str(file))
    again = done(cli, "restore", str(file), str(file))
    assert (again["runs"], again["contents"], again["present"]) == (0, 0, 4)
    assert contents(journal) == before


def test_a_run_that_is_not_the_same_is_left_alone_and_named(cli: Cli, journal: Path) -> None:
    write(journal, ended("a", 50), ended("b", 40), ended("c", 30))
    before = contents(journal)
    done(cli, "archive", "kept", "--older-than", "0m")
    file = str(files(cli.workspace / "kept")[0])
    done(cli, "restore", file)
    for change_of_it in (
        "UPDATE journal SET body = '{}' WHERE run_id = 'b' AND seq = 4",
        "DELETE FROM journal WHERE run_id = 'b' AND seq = 5",
        "DELETE FROM call WHERE run_id = 'b'",
        "UPDATE run SET status = 'failed' WHERE run_id = 'b'",
        "INSERT INTO journal VALUES ('b', 99, 1, 1.0, 'log', '', 1, 0, 0, '{}', NULL)",
    ):
        change(journal, change_of_it)
        changed = contents(journal)
        code, out, err = cli("data", "restore", file, "--json")
        assert (code, json.loads(out)["differing"], json.loads(out)["present"]) == (1, ["b"], 2)
        assert "run b is in " in err
        assert contents(journal) == changed
        done(cli, "vacuum", "--older-than", "35d")
        done(cli, "restore", file)
        assert contents(journal) == before


def test_no_large_text_is_left_over_of_a_run_that_is_not_the_same(cli: Cli, journal: Path) -> None:
    write(journal, ended("a", 50), [a_record("log", run="a", at=NOW - 50 * DAY, text=LARGE)])
    archives = done(cli, "archive", "kept", "--older-than", "0m")["archives"]
    write(journal, ended("a", 50))
    other = contents(journal)
    assert cli("data", "restore", *archives)[0] == 1
    assert contents(journal) == other


def test_no_record_comes_back_without_its_large_text(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {"at": NOW - 50 * DAY, "text": LARGE}
    many = ([*ended(run, 50), a_record("log", run=run, **text)] for run in "abc")
    write(journal, *many)
    before = contents(journal)
    archives = done(cli, "archive", "kept", "--older-than", "0m")["archives"]
    pause = broom.Broom.pause

    def swept(each: broom.Broom) -> None:  # as by another process, were it to think it unused
        each.connection.execute("DELETE FROM journal WHERE sha256 IS NOT NULL")
        each.connection.execute("DELETE FROM blob")
        pause(each)

    with monkeypatch.context() as patch:
        patch.setattr(restore, "_GROUP", 6)
        patch.setattr(broom.Broom, "pause", swept)
        code, _, err = cli("data", "restore", *archives)
    assert (code, "FOREIGN KEY" in err) == (1, True)
    assert runs(journal) == ["a"]
    change(journal, "DELETE FROM run")
    change(journal, "DELETE FROM journal")
    change(journal, "DELETE FROM call")
    done(cli, "restore", *archives)
    assert contents(journal) == before


def test_a_run_that_was_written_meanwhile_stays(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, ended("a", 50), ended("b", 40))
    digest_of = archive.digest_of

    def late(path: Path) -> str:
        write(journal, [a_record("log", "late", run="a", at=NOW)])
        return digest_of(path)

    monkeypatch.setattr(archive, "digest_of", late)
    assert done(cli, "archive", "kept", "--older-than", "30d")["runs"] == 1
    assert runs(journal) == ["a"]
    assert rows(journal, "SELECT count(*) FROM journal") == [(6,)]


# --- damage --------------------------------------------------------------------------------------


def test_a_damaged_or_truncated_file_is_refused_before_anything_is_used(
    cli: Cli, journal: Path
) -> None:
    write(journal, *(ended(f"r{n}", 50, records=3) for n in range(9)))
    done(cli, "archive", "kept", "--older-than", "0m")
    (file,) = files(cli.workspace / "kept")
    whole = file.read_bytes()
    text = gzip.decompress(whole)
    wrong = [whole[:cut] for cut in (0, 1, 12, len(whole) // 2, len(whole) - 1)]
    wrong += [whole[:at] + bytes([whole[at] ^ 8]) + whole[at + 1 :] for at in (0, 40, 400)]
    wrong += [
        gzip.compress(each)
        for each in (
            text.replace(b"note 1", b"note 7", 1),
            text[: text.rindex(b"\n", 0, -1) + 1],
            text + b"\n",
            text + text,
            b"".join(text.splitlines(keepends=True)[:3] + text.splitlines(keepends=True)[4:]),
            b"{}\n",
            b"[1]\n",
            b"7\n",
            text.replace(b'"run"', b'"spending"'),
        )
    ]
    damaged = cli.workspace / "damaged.jsonl.gz"
    for content in wrong:
        damaged.write_bytes(content)
        code, out, err = cli("data", "restore", str(file), str(damaged))
        (told,) = err.splitlines()
        assert (code, out) == (1, "")
        assert "damaged.jsonl.gz is damaged, or none" in told
        assert runs(journal) == []


def test_a_newer_version_s_file_is_refused(cli: Cli, journal: Path) -> None:
    write(journal, ended("a", 50))
    done(cli, "archive", "kept", "--older-than", "0m")
    (file,) = files(cli.workspace / "kept")
    text = gzip.decompress(file.read_bytes())
    for old, new, words in (
        (b'"magsag_archive":1', b'"magsag_archive":2', "has format 2"),
        (b'"schema":', b'"schema":9', "schema 9"),
    ):
        file.write_bytes(gzip.compress(text.replace(old, new, 1)))
        code, _, err = cli("data", "restore", str(file))
        assert code == 1
        assert words in err
        assert "install a newer version" in err


def test_a_file_that_does_not_read_back_costs_nothing(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, ended("a", 50))
    before = contents(journal)
    monkeypatch.setattr(archive, "digest_of", lambda _path: "another")
    code, _, err = cli("data", "archive", "kept", "--older-than", "0m")
    assert code == 1
    assert "does not read back as it was written" in err
    assert contents(journal) == before
    assert names(cli.workspace / "kept") == []


# --- disks and interrupts ------------------------------------------------------------------------


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file of this process become longer."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_costs_nothing(cli: Cli, journal: Path) -> None:
    noise = "".join(f"{n * 7919:x}" for n in range(200_000))
    write(journal, ended("a", 50, text=noise), ended("b", 49, text=noise))
    before = contents(journal)
    with full_disk(100_000):
        code, _, err = cli("data", "archive", "kept", "--older-than", "0m")
    assert code == 1
    assert "its runs stay in the journal: make room there, or name another folder" in err
    assert contents(journal) == before
    assert names(cli.workspace / "kept") == []
    archives = done(cli, "archive", "kept", "--older-than", "0m")["archives"]
    with full_disk(500_000):
        code, _, err = cli("data", "restore", *archives)
    assert (code, err.count("\n")) == (1, 1)
    assert runs(journal) == []
    done(cli, "restore", *archives)
    assert contents(journal) == before


class Terminal(io.StringIO):
    """A stream that people look at."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_how_far_it_is(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_TOLD", 2)
    monkeypatch.setattr(sweep, "_GROUP", 8)
    monkeypatch.setattr(restore, "_GROUP", 8)
    write(journal, *(ended(f"r{n}", 50 - n) for n in range(4)))
    shown = {}
    for argv in (("archive", "kept", "--older-than", "0m"), ("restore",)):
        files_of = map(str, files(cli.workspace / "kept")) if argv == ("restore",) else ()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", screen := Terminal())
            assert cli("data", *argv, *files_of)[0] == 0
        shown[argv[0]] = screen.getvalue()
    assert "\rarchived 2 runs\rarchived 4 runs\rdeleted 2 runs" in shown["archive"]
    assert "\rrestored 2 runs\rrestored 4 runs" in shown["restore"]
    assert all(each.endswith("\r\x1b[K") for each in shown.values())


def test_what_cannot_be_written_or_read_is_said_in_one_line(cli: Cli, journal: Path) -> None:
    write(journal, ended("a", 50))
    (cli.workspace / "file").write_text("text")
    for argv, words in (
        (("archive", "file/below", "--older-than", "0m"), "cannot be written"),
        (("archive", "/proc/none", "--older-than", "0m"), "cannot be written"),
        (("archive", "kept"), "which runs? say it with --older-than"),
        (("archive", "kept", "--older-than", "soon"), "is no time"),
        (("archive", "kept", "--max-mb", "-1"), "data archive --help"),
        (("archive", "kept", "--status", "running"), "data archive --help"),
        (("vacuum", "--archive", "kept"), "--archive needs --older-than or --max-mb"),
        (("restore",), "data restore --help"),
        (("restore", "absent.gz"), "archive absent.gz cannot be read"),
        (("restore", "."), "cannot be read"),
        (("restore", "file"), "is damaged, or none"),
    ):
        code, out, err = cli("data", *argv)
        (told,) = err.splitlines()
        assert (code, out) == (1, "")
        assert words in told
    assert runs(journal) == ["a"]


def test_a_run_that_is_not_there_is_no_archive(cli: Cli, journal: Path) -> None:
    write(journal, ended("a", 50))
    code, out, err = cli("data", "archive", "kept", "--run-id", "nobody")
    assert (code, out.split()[:3]) == (0, ["archived", "0", "runs"])
    assert "1 run stayed: not over yet, not in this journal" in err
    assert names(cli.workspace / "kept") == []


KILLED = """
import os, signal, sys
from runtime.cli import data_restore, data_vacuum
from runtime.cli.main import main
from runtime.journal import archive, restore, sweep

NAMES = {"open", "sqlite3.connect", "os.rename", "os.remove", "fcntl.flock"}
sweep._GROUP = restore._GROUP = 8
archive._FILE_RUNS = 4
left = 0

def counted(event, _arguments):
    global left
    if event in NAMES:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(counted)
for line in sys.stdin:
    number, *argv = line.split()
    child = os.fork()
    if not child:
        left = int(number)
        os._exit(main(argv))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def killed() -> Iterator[Callable[..., bool]]:
    """Carry out a command, and kill it at its n-th step; return whether it had so many."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.PIPE,
    )

    def carried_out(moment: int, *argv: str) -> bool:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{moment} data {' '.join(argv)} --json\n")
        process.stdin.flush()
        while (said := process.stdout.readline().strip()) not in {"0", str(-signal.SIGKILL)}:
            assert said, process.stderr and process.stderr.read()
        return said != "0"

    with process:
        yield carried_out
        process.communicate()


@pytest.mark.real_time
def test_killed_at_any_moment_nothing_is_lost_and_repeating_ends_it(
    cli: Cli, journal: Path, killed: Callable[..., bool]
) -> None:
    write(journal, *(ended(f"r{n}", 50 - n) for n in range(10)), ended("young", 1))
    before = contents(journal)
    kept, copy = cli.workspace / "kept", cli.workspace / "copy.db"
    kills = 0
    while killed(2 * kills + 1, "archive", str(kept), "--older-than", "30d", "--db", str(journal)):
        kills += 1
        here = {*runs(journal)}
        if paths := files(kept):
            done(cli, "restore", *map(str, paths), "--db", str(copy))
            here |= {*runs(copy)}
            copy.unlink()
        assert len(here) == 11
    assert runs(journal) == ["young"]
    assert not (kept / "archive.part").exists()
    paths = files(kept)
    while killed(2 * kills + 1, "restore", *map(str, paths), "--db", str(journal)):
        kills += 1
    assert contents(journal) == before
    assert kills > 15


def test_ctrl_c_leaves_whole_files_and_whole_runs(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, *(ended(f"r{n}", 50 - n) for n in range(9)))
    before = contents(journal)
    monkeypatch.setattr(archive, "_FILE_RUNS", 3)
    written, count = archive.Archive.write, iter(range(9))

    def interrupted(each: archive.Archive, *given: Any) -> Any:
        if next(count) == 2:
            raise KeyboardInterrupt
        return written(each, *given)

    monkeypatch.setattr(archive.Archive, "write", interrupted)
    assert cli("data", "archive", "kept", "--older-than", "0m")[0] == 130
    assert len(names(cli.workspace / "kept")) == 2
    assert len(runs(journal)) == 3
    done(cli, "restore", *map(str, files(cli.workspace / "kept")))
    assert contents(journal) == before


def test_a_long_archive_is_several_files_and_many_short_transactions(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_FILE_BYTES", 20_000)
    monkeypatch.setattr(sweep, "_GROUP", 20)
    monkeypatch.setattr(restore, "_GROUP", 20)
    write(journal, *(ended(f"r{n:02}", 90 - n, records=20) for n in range(40)))
    before = contents(journal)
    pauses: list[int] = []
    pause = broom.Broom.pause
    monkeypatch.setattr(broom.Broom, "pause", lambda each: (pauses.append(1), pause(each)))
    facts = done(cli, "archive", "kept", "--older-than", "0m")
    assert len(facts["archives"]) > 4
    assert len(pauses) >= 40
    pauses.clear()
    done(cli, "restore", *facts["archives"])
    assert len(pauses) >= 40
    assert contents(journal) == before


def test_equal_runs_make_an_equal_file(cli: Cli, journal: Path) -> None:
    write(journal, ended("a", 50), ended("b", 40))
    first = done(cli, "archive", "kept", "--older-than", "0m")["archives"]
    content = files(cli.workspace / "kept")[0].read_bytes()
    done(cli, "restore", *first)
    assert done(cli, "archive", "kept", "--older-than", "0m")["archives"] == first
    assert files(cli.workspace / "kept")[0].read_bytes() == content


def test_a_dry_run_changes_nothing(cli: Cli, journal: Path) -> None:
    write(journal, ended("a", 50, records=500), ended("b", 1))
    before = journal.read_bytes()
    code, out, _ = cli("data", "archive", "kept", "--older-than", "30d", "--dry-run")
    would, frees = out.splitlines()
    assert code == 0
    assert would.startswith("would archive 1 run with 504 records, 1 call ")
    assert frees.startswith("would free about ")
    assert journal.read_bytes() == before
    assert not (cli.workspace / "kept").exists()
    done(cli, "archive", "kept", "--older-than", "30d")
    (file,) = files(cli.workspace / "kept")
    facts = done(cli, "restore", str(file), "--dry-run")
    assert (facts["runs"], facts["records"], facts["calls"]) == (1, 504, 1)
    assert cli("data", "restore", str(file), "--dry-run")[1].startswith(
        "would restore up to 1 run "
    )
    assert runs(journal) == ["b"]
    assert cli("data", "restore", str(file))[1].startswith(
        "restored 1 run with 504 records, 1 call"
    )


def test_without_a_journal_there_is_nothing_to_archive(cli: Cli) -> None:
    code, _, err = cli("data", "archive", "kept", "--older-than", "1d")
    assert code == 0
    assert "there is no journal " in err
    assert list(cli.workspace.iterdir()) == []
