"""``runs`` and ``show``: what a journal tells afterwards."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from runtime.cli.crowds import SHOWN
from runtime.cli.liveness import status_of
from runtime.cli.main import main
from runtime.cli.story import Story, lines
from runtime.cli.text import duration, json_line, money, one_line, table, tokens
from runtime.identity import wall_clock
from runtime.journal import EventRow, Record, RunRow, SqliteJournal
from tests.cli_workspace import make_workspace, run_process

if TYPE_CHECKING:
    from pathlib import Path

ROW = RunRow(
    run_id="r",
    trace_id="0" * 32,
    target="t",
    status="running",
    started_at=0.0,
    ended_at=None,
    input=None,
    output=None,
    error=None,
    reason=None,
    calls=0,
    errors=0,
    unpriced_calls=0,
    input_tokens=0,
    output_tokens=0,
    cost_nano_usd=0,
    pid=os.getpid(),
    host=socket.gethostname(),
)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    make_workspace(tmp_path)
    for argv in (
        ("run", "tree", "--run-id", "mag-tree", "--input", '{"leaves": 5}'),
        ("run", "asks", "--run-id", "mag-asks"),
        ("run", "crashes", "--run-id", "crashed"),
    ):
        run_process(tmp_path, *argv)
    return tmp_path


def test_runs_lists_the_newest_first_and_show_tells_one_in_full(workspace: Path) -> None:
    rows = json.loads(run_process(workspace, "runs", "--json").stdout)
    assert [row["run_id"] for row in rows] == ["crashed", "mag-asks", "mag-tree"]
    assert [row["status"] for row in rows] == ["failed", "completed", "completed"]
    assert rows[1]["usage"]["calls"] == 1
    assert [row["run_id"] for row in _json(workspace, "runs", "--limit", "1")] == ["crashed"]
    assert [row["run_id"] for row in _json(workspace, "runs", "--status", "failed")] == ["crashed"]
    listed = run_process(workspace, "runs").stdout.splitlines()
    assert listed[0].split() == [
        *("RUN", "STARTED", "TARGET", "STATUS", "DURATION", "CALLS", "TOKENS", "COST")
    ]
    assert len(listed) == 4

    shown = _json(workspace, "show", "mag-t")
    assert (shown["run_id"], shown["output"]) == ("mag-tree", {"ok": 4})
    (root,) = shown["delegations"]
    assert (root["agent"], root["status"], len(root["delegations"])) == ("tree", "completed", 5)
    (bad,) = [task for task in root["delegations"] if task["status"] == "failed"]
    assert (bad["attempts"], bad["reason"]) == (2, "crashed")
    assert "events" not in shown
    asked = _json(workspace, "show", "mag-asks", "--events")
    assert asked["delegations"][0]["calls"] == 1
    assert asked["delegations"][0]["tokens"] > 0
    assert [event["seq"] for event in asked["events"]] == [*range(1, len(asked["events"]) + 1)]

    page = run_process(workspace, "show", "mag-tree", "--events").stdout
    assert "status    completed" in page
    assert "  leaf-4 failed" in page
    assert "no threes \\x1b[31m please" in page
    assert "\x1b" not in page
    assert "run_completed" in page


def test_a_run_that_is_not_there_or_not_clear_is_said(workspace: Path) -> None:
    for name, words in (
        ("mag-", "2 runs begin with 'mag-'"),
        ("mag-tee", "did you mean 'mag-tree'?"),
        ("zzz", "python -m runtime runs lists them"),
        ("", "no run ''"),
    ):
        ended = run_process(workspace, "show", name)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert words in ended.stderr


@pytest.mark.parametrize(
    "argv", [("runs",), ("show", "last"), ("approvals",), ("replay", "last"), ("data", "query")]
)
def test_a_journal_of_a_newer_version_is_not_read_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
) -> None:
    database = str(tmp_path / "newer.db")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE run (run_id TEXT, other TEXT)")
        connection.execute("PRAGMA user_version = 9999")
    assert main([*argv, "--db", database]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"{database} has schema 9999" in err
    assert "install a newer version" in err


def test_without_a_journal_there_are_no_runs_and_none_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = str(tmp_path / "none.db")
    assert main(["runs", "--db", database]) == 0
    assert f"no runs in {database}" in capsys.readouterr().err
    assert main(["runs", "--db", database, "--json"]) == 0
    assert capsys.readouterr().out == "[]\n"
    assert main(["show", "r", "--db", database]) == 1
    assert main(["runs", "--db", ":memory:"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_journal_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "some.txt").write_text("no database " * 100)
    assert main(["runs", "--db", str(tmp_path / "some.txt")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: journal ")


@pytest.mark.real_time
async def test_a_long_run_is_read_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = await SqliteJournal.open(tmp_path / "journal.db", synchronous="normal")
    started = {"target": "t", "trace_id": "0" * 32}
    journal.append(Record("long", "run_started", "", started, 1.0))
    for number in range(2_500):
        journal.append(Record("long", "log", "", {"number": number}, 1.0))
    await journal.close()
    argv = ["show", "long", "--events", "--json", "--db", str(tmp_path / "journal.db")]
    ended = await _in_a_process(argv)
    assert len(json.loads(ended)["events"]) == 2_501
    assert capsys.readouterr().err == ""


async def _in_a_process(argv: list[str]) -> str:
    import anyio  # noqa: PLC0415  # only here

    ended = await anyio.run_process([sys.executable, "-m", "runtime", *argv])
    return ended.stdout.decode()


def test_a_run_is_lost_when_its_process_is_dead_or_its_lease_over() -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    assert status_of(ROW) == "running"
    assert status_of(replace(ROW, pid=dead.pid)) == "lost"
    elsewhere = replace(ROW, pid=dead.pid, host="elsewhere")
    assert status_of(replace(elsewhere, held_until=wall_clock() + 60)) == "running"
    assert status_of(replace(elsewhere, held_until=wall_clock() - 1)) == "lost"
    assert status_of(elsewhere) == "lost"
    assert status_of(replace(ROW, held_until=wall_clock() - 1)) == "lost"
    assert status_of(replace(ROW, pid=dead.pid, status="failed")) == "failed"
    assert status_of(replace(ROW, pid=None, host=None)) == "running"


def test_of_many_tasks_the_failed_ones_are_shown_and_the_rest_is_counted() -> None:
    story = Story()
    for number in range(100):
        op, body = f"a:{number}", {"agent": "a", "task": f"a-{number}"}
        story.take(EventRow(number, 0.0, "delegation_sent", op, body, 0))
    for number in range(99):
        kind = "delegation_failed" if number == 90 else "delegation_completed"
        body = {"error": "bad", "reason": "crashed"} if number == 90 else {}
        story.take(EventRow(number, 1.0, kind, f"a:{number}", body, 0))
    told = list(lines(story.roots))
    assert len(told) == SHOWN + 1
    assert "a-90 failed  1.00 s  crashed: bad" in told
    assert "a-99 queued" in told
    assert told[-1].endswith("90 more: 90 completed")


def test_numbers_and_texts_are_readable() -> None:
    assert [duration(s) for s in (0.423, 12.34, 185, 7_620, -1)] == [
        *("0.42 s", "12.3 s", "3 min 05 s", "2 h 07 min", "0.00 s")
    ]
    assert [money(None), money(1_500), money(0, 2)] == [
        *("unpriced", "$0.000002", "$0.000000 + 2 unpriced")
    ]
    assert [tokens(9_999), tokens(12_345)] == ["9999", "12.3k"]
    assert one_line("a\n b\x1b[31m\u2028c") == "a b\\x1b[31m c"
    assert json_line({"a": "\x9b\x1b"}) == '{"a": "\\u009b\\u001b"}'
    assert table(("a", "bb"), [("xxx", "y")]) == "A    BB\nxxx  y"


def _json(workspace: Path, *argv: str) -> Any:
    ended = run_process(workspace, *argv, "--json")
    assert ended.returncode == 0
    return json.loads(ended.stdout)
