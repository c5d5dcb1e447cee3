"""A journal that is kept below a size while a process has it open, and one that is large."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runtime.cli import size_bound
from runtime.cli.size_bound import bound_of
from runtime.errors import ConfigurationError
from runtime.journal import archive, caretaker
from runtime.journal.caretaker import Bound, Caretaker
from tests.data_journals import DAY, a_call, a_record, a_run, an_end, change, line, rows, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runtime.journal import Record
    from tests.cli_workspace import Cli

pytestmark = pytest.mark.real_time
NOW = datetime.now(UTC).timestamp()
PATIENCE_S = 30.0
NEVER = threading.Event()


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return line(tmp_path, capsys, monkeypatch)


@pytest.fixture
def journal(cli: Cli) -> Path:
    """A journal of two megabytes: forty runs that are over, and one that is not."""
    many = (ended(f"run-{n:02}", 100 - n) for n in range(40))
    live = a_run("live", NOW - 200 * DAY, pid=os.getpid(), host=socket.gethostname())
    return write(cli.workspace / "journal.db", *many, live)


def ended(run: str, days: float) -> list[Record]:
    at = NOW - days * DAY
    said = (a_record("log", run=run, at=at, text="x" * 1_200) for _ in range(40))
    return [*a_run(run, at - 60), *a_call(run=run, at=at - 50, cost=5), *said, *an_end(run, at)]


def runs(path: Path) -> list[str]:
    return [run_id for (run_id,) in rows(path, "SELECT run_id FROM run ORDER BY run_id")]


@contextmanager
def cared_for(path: Path, bound: Bound) -> Iterator[None]:
    thread = Caretaker(path, bound, every_s=0.01)
    thread.start()
    try:
        yield
    finally:
        thread.stop()


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        NEVER.wait(0.01)


def test_the_oldest_runs_that_are_over_leave_in_the_background(journal: Path) -> None:
    size = journal.stat().st_size
    with cared_for(journal, Bound(size // 2)):
        until(lambda: journal.stat().st_size <= size // 2)
    left = runs(journal)
    assert left == ["live", *(f"run-{n:02}" for n in range(41 - len(left), 40))]
    assert 8 < len(left) < 25
    assert rows(journal, "PRAGMA integrity_check") == [("ok",)]


def test_they_are_archived_where_a_folder_is_named(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_LEAST_BYTES", 1)
    before, size, kept = runs(journal), journal.stat().st_size, cli.workspace / "kept"
    with cared_for(journal, Bound(size // 2, kept)):
        until(lambda: journal.stat().st_size <= size // 2)
    files = [str(file) for file in kept.glob("*.jsonl.gz")]
    assert len(runs(journal)) < len(before)
    assert cli("data", "restore", *files)[0] == 0
    assert runs(journal) == before


def test_what_cannot_be_freed_is_logged_once(
    journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with cared_for(journal, Bound(10_000)):
        until(lambda: "stays above its size" in caplog.text)
        NEVER.wait(0.1)
    assert runs(journal) == ["live"]
    assert caplog.text.count("stays above its size") == 1


def test_a_large_journal_without_a_bound_is_logged_and_left_alone(
    journal: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "LARGE_BYTES", 10_000)
    before = runs(journal)
    with cared_for(journal, Bound()):
        until(lambda: "the journal is large" in caplog.text)
    assert runs(journal) == before
    caplog.clear()
    monkeypatch.setattr(caretaker, "LARGE_BYTES", 10**9)
    with cared_for(journal, Bound()):
        NEVER.wait(0.05)
    assert caplog.text == ""


def test_a_folder_that_cannot_be_written_costs_nothing_but_a_word(
    cli: Cli, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (cli.workspace / "file").write_text("text")
    before = runs(journal)
    with cared_for(journal, Bound(100_000, cli.workspace / "file" / "below")):
        until(lambda: "not kept below its size" in caplog.text)
    assert runs(journal) == before


def test_it_stops_at_its_next_turn(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime.journal import broom, sweep  # noqa: PLC0415  # only here

    monkeypatch.setattr(sweep, "_GROUP", 1)
    monkeypatch.setattr(broom, "_TURN_S", 0.8)
    thread = Caretaker(journal, Bound(10_000))
    thread.start()
    until(lambda: len(runs(journal)) < 41)
    thread.stop()
    left = runs(journal)
    assert 10 < len(left) < 41
    assert runs(journal) == left


def test_what_one_process_has_freed_the_next_gives_back(journal: Path) -> None:
    size = journal.stat().st_size
    change(journal, "DELETE FROM journal WHERE kind = 'log'")
    write(journal)  # empties the log
    assert journal.stat().st_size >= size
    with cared_for(journal, Bound(size // 2)):
        until(lambda: journal.stat().st_size <= size // 2)
    assert len(runs(journal)) == 41


def test_a_run_keeps_the_journal_below_what_the_environment_says(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGSAG_JOURNAL_MAX_MB", "1")
    assert journal.stat().st_size > 1_500_000
    for _ in range(20):
        if journal.stat().st_size <= 1_000_000:
            break
        assert cli("invoke", "--provider", "echo", "--model", "echo-1", "hello")[0] == 0
    assert journal.stat().st_size <= 1_000_000
    assert "live" in runs(journal)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"MAGSAG_JOURNAL_MAX_MB": "big"}, "is no size of 1 MB or more; write it like 2000"),
        ({"MAGSAG_JOURNAL_MAX_MB": "0"}, "is no size"),
        ({"MAGSAG_JOURNAL_MAX_MB": "nan"}, "is no size"),
        ({"MAGSAG_JOURNAL_ARCHIVE": "kept"}, "needs MAGSAG_JOURNAL_MAX_MB"),
    ],
)
def test_a_bound_that_makes_no_sense_is_refused(environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        bound_of(environ)


def test_nothing_is_deleted_by_default() -> None:
    assert bound_of({}) == Bound(None, None)
    assert bound_of({"MAGSAG_JOURNAL_MAX_MB": "1.5"}) == Bound(1_500_000)


def test_runs_says_that_the_journal_is_large(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("runs")[2] == ""
    monkeypatch.setattr(size_bound, "LARGE_BYTES", 10_000)
    code, out, err = cli("runs", "--json")
    assert (code, "run-39" in out) == (0, True)
    assert err.startswith(f"note: the journal {journal} has ")
    assert "data vacuum or data archive, with --max-mb, make it smaller" in err
