"""Money that several processes share, a process that dies, and a file of an earlier version."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from runtime.journal import SqliteJournal
from tests.cli_workspace import ROOT, environment
from tests.ledgers import agrees, balance_of, begun, day, ended, month, rows_of
from tests.spender import WORST
from tests.stores import SHARED, open_at, place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 60


@contextmanager
def spending(
    where: str, *, limit: int, calls: int, seconds: float
) -> Iterator[subprocess.Popen[str]]:
    """Run ``tests.spender`` until it is ready to begin."""
    command = [sys.executable, "-m", "tests.spender", where]
    with subprocess.Popen(
        [*command, str(limit), str(calls), str(seconds)],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert line_of(process) == "ready"
            yield process
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE_S)


@pytest.fixture(params=SHARED)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as one:
        yield one


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.real_time
@pytest.mark.parametrize("fits", [7, 10])
async def test_processes_that_race_for_one_daily_budget_never_overspend_it(
    where: str, fits: int
) -> None:
    limit, calls = fits * WORST + 1, 150
    answers: list[dict[str, int]] = []
    with ExitStack() as stack:
        start = lambda: spending(where, limit=limit, calls=calls, seconds=0.002)  # noqa: E731
        processes = [stack.enter_context(start()) for _ in range(2)]
        for process in processes:
            begin(process)
        for process in processes:
            lines = process.communicate(timeout=PATIENCE_S)[0].splitlines()
            answers.append(json.loads(lines[-1]))
    journal = await open_at(where)
    try:
        rows = await rows_of(journal, status="completed")
        for at in {row.day: row.started_at for row in rows}.values():  # it may be midnight
            today = day("agent", "spender", at)
            spent, reserved = await balance_of(journal, today)
            await agrees(journal, today)
            assert (reserved, spent <= limit) == (0, True)
        assert limit - spent < WORST  # nobody was refused who would have fitted
    finally:
        await journal.close()
    answered = [each.get("answered", 0) for each in answers]
    assert sum(answered) == len(rows) >= fits
    assert [sum(each.values()) for each in answers] == [calls, calls]


@pytest.mark.real_time
async def test_a_process_that_is_killed_leaves_what_the_next_to_open_settles_in_full(
    where: str,
) -> None:
    with spending(where, limit=10 * WORST, calls=3, seconds=3_600.0) as process:
        begin(process)
        assert [line_of(process) for _ in range(3)] == ["begun"] * 3
        beside = await open_at(where)  # the process lives, so nothing is settled
        today = day("agent", "spender", (await rows_of(beside))[0].started_at)
        assert await balance_of(beside, today) == (0, 3 * WORST)
        assert [row.status for row in await rows_of(beside)] == ["running"] * 3
        await beside.close()
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=PATIENCE_S)
    for _ in range(2):  # once and not again
        journal = await open_at(where)
        assert await balance_of(journal, today) == (3 * WORST, 0)
        rows = await rows_of(journal, status="lost")
        assert [row.settled_nano_usd for row in rows] == [WORST] * 3
        assert [row.status for row in await rows_of(journal)] == ["lost"] * 3
        await agrees(journal, today)
        await journal.close()


# --- a file of the first version -----------------------------------------------------------------

FIRST = """
CREATE TABLE run (
    run_id TEXT PRIMARY KEY, status TEXT NOT NULL, epoch INTEGER NOT NULL DEFAULT 1, owner TEXT,
    lease_until REAL, code TEXT, next_seq INTEGER NOT NULL, started_seq INTEGER, ended_seq INTEGER,
    trace_id TEXT NOT NULL, target TEXT NOT NULL, started_at REAL NOT NULL, ended_at REAL,
    error TEXT, reason TEXT, calls INTEGER NOT NULL, errors INTEGER NOT NULL,
    unpriced_calls INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL, pid INTEGER, host TEXT
) WITHOUT ROWID;
CREATE INDEX run_started_at ON run (started_at);
CREATE TABLE journal (
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, epoch INTEGER NOT NULL DEFAULT 1, at REAL NOT NULL,
    kind TEXT NOT NULL, op TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 1,
    terminal INTEGER NOT NULL, cost_nano_usd INTEGER NOT NULL, body TEXT,
    sha256 BLOB REFERENCES blob, PRIMARY KEY (run_id, seq),
    CHECK ((body IS NULL) <> (sha256 IS NULL))
) WITHOUT ROWID;
CREATE UNIQUE INDEX one_outcome ON journal (run_id, op) WHERE terminal = 1;
CREATE TABLE blob (sha256 BLOB PRIMARY KEY, data TEXT NOT NULL);
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""
THEN = 1_780_000_000.0  # 2026-05-28, 20:26:40 UTC
TOKENS = {"input_tokens": 100, "output_tokens": 7, "cached_input_tokens": None,
          "cache_write_tokens": None, "reasoning_tokens": None}  # fmt: skip


def write_first_version(path: Path, *, pid: int, calls: int = 1) -> None:
    """Write a file as the first version did: a run that ended, and one that its process left."""
    connection = sqlite3.connect(path)
    connection.executescript(FIRST)
    for run, status, seq_end in (("old", "completed", 5), ("left", "running", None)):
        connection.execute(
            "INSERT INTO run (run_id, status, ended_seq, trace_id, started_at, pid, host, target,"
            " next_seq, started_seq, calls, errors, unpriced_calls, input_tokens, output_tokens,"
            " cost_nano_usd) VALUES (?, ?, ?, ?, ?, ?, ?, 'flow', 9, 1, 2, 1, 0, 100, 7, 9)",
            (run, status, seq_end, "ab" * 16, THEN, pid, socket.gethostname()),
        )
    for number in range(calls):
        op = f"main:1/chat:{number}:1"
        _note(connection, "old", "delegation_sent", "main:1", {"agent": "clerk", "task": "c-1"})
        _note(connection, "old", "invocation_started", op, _asked(60))
        answer = {"task": "c-1", "model": "m-1", "text": "hi", "finish_reason": "stop",
                  "usage": TOKENS, "usage_source": "provider", "unpriced": False,
                  "request_id": None, "attempts": 1, "warnings": [],
                  "settled_nano_usd": 40}  # fmt: skip
        _note(connection, "old", "invocation_completed", op, answer, cost=40, large=number == 0)
    _note(connection, "left", "delegation_sent", "main:1", {"agent": "clerk"})
    _note(connection, "left", "invocation_started", "main:1/chat:a:1", _asked(30))
    failure = {"error": "no", "error_class": "ServerError", "reason": "provider", "billed": "no"}
    _note(connection, "left", "invocation_failed", "main:1/chat:a:1", failure)
    _note(connection, "left", "invocation_started", "main:1/chat:b:1", _asked(25))
    connection.commit()
    connection.close()


def _asked(reserved: int) -> dict[str, Any]:
    request = {"messages": [["user", "x"]]}
    said = {"provider": "p", "model": "m", "task": "c-1", "request": request}
    return said | {"reserved_nano_usd": reserved}


def _note(
    connection: sqlite3.Connection,
    run: str,
    kind: str,
    op: str,
    body: dict[str, Any],
    *,
    cost: int = 0,
    large: bool = False,
) -> None:
    seq = connection.execute("SELECT count(*) + 1 FROM journal WHERE run_id = ?", (run,))
    text: str | None = json.dumps(body)
    digest = b"x" * 32 if large else None
    if large:
        connection.execute("INSERT INTO blob VALUES (?, ?)", (digest, text))
        text = None
    connection.execute(
        "INSERT INTO journal (run_id, seq, at, kind, op, terminal, cost_nano_usd, body, sha256)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (run, seq.fetchone()[0], THEN, kind, op, kind.endswith("ed") and kind.startswith(
            "invocation") and kind != "invocation_started", cost, text, digest),
    )  # fmt: skip


@pytest.mark.real_time
async def test_a_file_of_the_first_version_keeps_its_history(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    write_first_version(path, pid=os.getpid())
    journal = await SqliteJournal.open(path)
    try:
        failed, open_, done = sorted(await rows_of(journal), key=lambda row: (row.run_id, row.op))
        assert (done.status, done.agent, done.provider, done.model) == (
            ("completed", "clerk", "p", "m")
        )
        assert (done.settled_nano_usd, done.cost_nano_usd, done.input_tokens) == (40, 40, 100)
        assert (done.day, done.served_model, done.attempts) == ("2026-05-28", "m-1", 1)
        assert (failed.status, failed.settled_nano_usd, failed.reason) == ("failed", 0, "provider")
        assert (open_.status, open_.reserved_nano_usd) == ("running", 25)
        assert await balance_of(journal, day("agent", "clerk", THEN)) == (40, 25)
        assert await balance_of(journal, month("provider", "p", THEN)) == (40, 25)
        assert len(await journal.events("old")) == 3
        journal.append(begun("new", 5, agent="clerk", at=THEN))
        journal.append(ended("new", 5))
        assert await balance_of(journal, day("agent", "clerk", THEN)) == (45, 25)
    finally:
        await journal.close()


def _dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(timeout=PATIENCE_S)
    return process.pid


@pytest.mark.real_time
async def test_what_the_first_version_left_open_is_settled_when_its_process_is_dead(
    tmp_path: Path,
) -> None:
    write_first_version(tmp_path / "journal.db", pid=_dead_pid())
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    try:
        assert await balance_of(journal, day("agent", "clerk", THEN)) == (65, 0)
        assert [row.settled_nano_usd for row in await rows_of(journal, status="lost")] == [25]
    finally:
        await journal.close()


@pytest.mark.real_time
async def test_a_long_history_is_taken_over_whole(tmp_path: Path) -> None:
    """More calls than are written at once."""
    write_first_version(tmp_path / "journal.db", pid=os.getpid(), calls=1_200)
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    try:
        assert len(await rows_of(journal, run_id="old", limit=5_000)) == 1_200
        assert await balance_of(journal, day("agent", "clerk", THEN)) == (40 * 1_200, 25)
    finally:
        await journal.close()
