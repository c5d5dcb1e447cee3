"""``data export``: the audit trail as a file that is whole or not there."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.cli import data_calls
from runtime.cli.data_rows import COLUMNS
from runtime.cli.main import main
from runtime.journal.search_file import index_of
from tests.cli_workspace import Cli, command, environment
from tests.data_journals import NOON, a_call, a_record, a_run, line, write

if TYPE_CHECKING:
    from runtime.journal import Record

A_FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
FORMATS = ("csv", "ndjson", "parquet")


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return line(tmp_path, capsys, monkeypatch)


@pytest.fixture
def journal(cli: Cli) -> Path:
    return cli.workspace / "journal.db"


def many(count: int) -> list[Record]:
    return [
        record
        for n in range(count)
        for record in a_call(f"main:0:1/chat:{n}:1", at=NOON + n, said={"request_id": f"q{n}"})
    ]


def read(path: Path, form: str) -> list[dict[str, Any]]:
    """Return the rows of an exported file."""
    if form == "parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    text = path.read_text(encoding="utf-8")
    if form == "csv":
        return list(csv.DictReader(io.StringIO(text, newline="")))
    return [json.loads(each) for each in text.splitlines()]


def names(folder: Path) -> list[str]:
    """Return the files of a folder that are not the journal's own."""
    return sorted(each.name for each in folder.iterdir() if not each.name.startswith("journal.db"))


@given(
    count=st.integers(0, 23),
    page=st.integers(1, 7),
    group=st.integers(1, 9),
    limit=st.none() | st.integers(1, 30),
    form=st.sampled_from(FORMATS),
)
@A_FEW
def test_every_call_is_there_once_the_oldest_first(
    count: int, page: int, group: int, limit: int | None, form: str
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_calls, "PAGE", page)
        patch.setattr("runtime.cli.data_parquet.GROUP", group)
        patch.setattr(sys, "stderr", err := io.StringIO())
        path = write(Path(folder) / "j.db", a_run(), many(count))
        file = Path(folder) / "out"
        argv = ["data", "export", "--db", str(path), "--format", form, "--output", str(file)]
        assert main([*argv, *([] if limit is None else ["--limit", str(limit)])]) == 0
        found = [row["request_id"] for row in read(file, form)]
    assert found == [f"q{n}" for n in range(count)][:limit]
    assert err.getvalue() == f"{len(found)} row{'' if len(found) == 1 else 's'} written to {file}\n"


def test_all_formats_have_the_same_rows(cli: Cli, journal: Path) -> None:
    asked = {"data_classes": "pii,salary", "tenant": "=acme"}
    write(journal, a_run(), a_call(asked=asked, cost=1_500_000_012))
    for form in FORMATS:
        assert cli("data", "export", "--format", form, "--output", f"out.{form}")[0] == 0
    (cells,), (row,), (typed,) = (read(cli.workspace / f"out.{form}", form) for form in FORMATS)
    assert tuple(cells) == tuple(row) == tuple(typed) == COLUMNS
    assert (cells["cost_usd"], row["cost_usd"], typed["cost_usd"]) == (
        *("1.500000012", 1.500000012, Decimal("1.500000012")),
    )
    assert (cells["tenant"], row["tenant"], typed["tenant"]) == ("'=acme", "=acme", "=acme")
    assert typed["started_at"] == datetime.fromisoformat(row["started_at"])
    other = ("cost_usd", "started_at", "ended_at")
    assert {k: v for k, v in typed.items() if k not in other} == {
        k: v for k, v in row.items() if k not in other
    }


def test_parquet_has_types(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), a_call(said={"unpriced": True}), a_call("b", at=NOON + 0.1234)[:1])
    assert cli("data", "export", "--format", "parquet", "--output", "out")[0] == 0
    table = pq.read_table(cli.workspace / "out")
    types = {field.name: field.type for field in table.schema}
    assert tuple(types) == COLUMNS
    assert types["started_at"] == types["ended_at"] == pa.timestamp("ms", tz="UTC")
    assert types["cost_usd"] == pa.decimal128(18, 9)
    assert types["data_classes"] == pa.list_(pa.string())
    assert types["unpriced"] == pa.bool_()
    assert types["duration_s"] == pa.float64()
    counts = {name for name, type_ in types.items() if type_ == pa.int64()}
    assert counts == {
        *("input_tokens", "output_tokens", "total_tokens", "cached_input_tokens"),
        *("cache_write_tokens", "reasoning_tokens", "cost_nano_usd", "settled_nano_usd"),
        "attempts",
    }
    done, running = table.to_pylist()
    assert (done["cost_usd"], running["ended_at"], running["duration_s"]) == (None, None, None)
    assert running["started_at"] == datetime(2026, 9, 21, 14, 13, 20, 123_000, UTC)


def test_parquet_comes_in_groups_of_ten_thousand(cli: Cli, journal: Path) -> None:
    begun = (a_call(f"op{n}", at=NOON + n)[0] for n in range(10_001))
    write(journal, a_run(), begun)
    assert cli("data", "export", "--format", "parquet", "--output", "out")[0] == 0
    file = pq.ParquetFile(cli.workspace / "out")
    groups = [file.metadata.row_group(n).num_rows for n in range(file.metadata.num_row_groups)]
    assert groups == [10_000, 1]


@pytest.mark.parametrize("form", FORMATS)
def test_prompts_and_replies_go_with_them_where_they_are_asked_for(
    cli: Cli, journal: Path, form: str
) -> None:
    request = {"messages": [["user", "half a pair \ud800, an é"]]}
    kept = {"contents": "keep", "request": request}
    write(journal, a_run(), a_call(asked=kept, said={"text": "yes"}), a_call("b", at=NOON + 9))
    assert cli("data", "export", "--contents", "--format", form, "--output", "out")[0] == 0
    kept_row, other = read(cli.workspace / "out", form)
    prompt, reply = kept_row["prompt"], kept_row["reply"]
    if form != "ndjson":
        prompt, reply = json.loads(prompt), json.loads(reply)
    assert (prompt, reply) == (request, {"text": "yes"})
    assert not other["prompt"]
    assert not other["reply"]


def test_the_filters_are_those_of_query(cli: Cli, journal: Path) -> None:
    failed = a_record("invocation_failed", "f", at=NOON + 5, error="e")
    write(journal, a_run(), many(2), [failed])
    argv = ("--status", "failed", "--since", "2026-09-01", "--workflow", "flow")
    code, out, _ = cli("data", "export", *argv)
    (row,) = map(json.loads, out.splitlines())
    assert (code, row["error"]) == (0, "e")


def test_without_a_file_it_goes_to_standard_output(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), many(2))
    for argv in ((), ("--output", "-")):
        code, out, err = cli("data", "export", *argv)
        assert [json.loads(each)["request_id"] for each in out.splitlines()] == ["q0", "q1"]
        assert (code, err) == (0, "2 rows written to standard output\n")
    assert cli("data", "export", "--quiet")[2] == ""
    assert names(cli.workspace) == []


def test_without_a_journal_the_file_is_empty_and_that_is_said(cli: Cli) -> None:
    for form in FORMATS:
        code, out, err = cli("data", "export", "--format", form, "--output", "out")
        assert (code, out) == (0, "")
        assert read(cli.workspace / "out", form) == []
        assert "there is no journal " in err
        assert "0 rows written to out" in err
    assert names(cli.workspace) == ["out"]


@pytest.mark.parametrize("form", FORMATS)
def test_what_fails_leaves_no_half_file_and_the_last_one_as_it_was(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    write(journal, a_run(), many(5))
    (cli.workspace / "out").write_text("the last export")
    row_of = data_calls.row_of

    def full(filed: Any) -> dict[str, Any]:
        if filed.call.request_id == "q3":
            raise OSError(28, "No space left on device")
        return row_of(filed)

    monkeypatch.setattr(data_calls, "row_of", full)
    code, out, err = cli("data", "export", "--format", form, "--output", "out")
    assert (code, out) == (1, "")
    assert err == (
        "error: out cannot be written: No space left on device; make room there, or name another"
        " file\n"
    )
    assert (cli.workspace / "out").read_text() == "the last export"
    assert names(cli.workspace) == ["out"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_ended_leaves_no_half_file_under_the_name(
    cli: Cli, journal: Path, number: signal.Signals
) -> None:
    write(journal, a_run(), many(50))
    code = """
import os, sys
from runtime.cli import data_calls
row_of = data_calls.row_of
def signalled(filed):
    if filed.call.request_id == "q20":
        os.kill(os.getpid(), int(sys.argv[1]))
    return row_of(filed)
data_calls.row_of, data_calls.PAGE = signalled, 10
from runtime.cli.main import main
sys.exit(main(["data", "export", "--output", "out"]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, str(int(number))],
        cwd=cli.workspace,
        env=environment(MAGSAG_DB="journal.db"),
        capture_output=True,
        check=False,
    )
    assert ended.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert b"Traceback" not in ended.stderr
    assert names(cli.workspace) == ([] if number == signal.SIGINT else ["out.part"])
    assert cli("data", "export", "--output", "out")[0] == 0
    assert names(cli.workspace) == ["out"]
    assert len(read(cli.workspace / "out", "ndjson")) == 50


def test_the_journal_is_never_written_over(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), many(2))
    (cli.workspace / "link").symlink_to(journal)
    (cli.workspace / "folder").mkdir()
    before = journal.read_bytes()
    for name, words in (
        ("journal.db", "is the journal, or belongs to it"),
        ("./journal.db-wal", "is the journal, or belongs to it"),
        (str(index_of(journal)), "is the journal, or belongs to it"),
        ("link", "is the journal, or belongs to it"),
        ("folder", "is a folder; name a file in it"),
        ("nowhere/out", "cannot be written: No such file or directory"),
    ):
        code, _, err = cli("data", "export", "--output", name)
        assert code == 1
        assert words in err
    assert journal.read_bytes() == before
    assert cli("data", "export", "--output", "journal.db.ndjson")[0] == 0


def test_a_link_is_followed_and_stays(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), many(2))
    (cli.workspace / "link").symlink_to(cli.workspace / "out")
    assert cli("data", "export", "--output", "link")[0] == 0
    assert (cli.workspace / "link").is_symlink()
    assert len(read(cli.workspace / "out", "ndjson")) == 2


def test_a_device_is_written_and_not_replaced(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), many(2))
    for form in ("csv", "ndjson"):
        assert cli("data", "export", "--format", form, "--output", os.devnull)[0] == 0
    assert not Path(os.devnull).is_file()
    if Path("/dev/full").exists():
        code, _, err = cli("data", "export", "--output", "/dev/full")
        assert code == 1
        assert "/dev/full cannot be written: No space left on device" in err


def test_parquet_needs_a_file_and_pyarrow(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, a_run(), many(2))
    code, _, err = cli("data", "export", "--format", "parquet")
    assert code == 1
    assert "parquet is no text; name a file with --output" in err
    monkeypatch.delitem(sys.modules, "runtime.cli.data_parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = cli("data", "export", "--format", "parquet", "--output", "out")
    assert code == 1
    assert "pip install 'magsag-runtime[parquet]'" in err
    assert names(cli.workspace) == []


def test_nothing_but_parquet_imports_pyarrow(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), many(2))
    code = "import sys; from runtime.cli.main import main; main(sys.argv[1:]);"
    code += "sys.exit('pyarrow' in sys.modules)"
    for argv in (("export",), ("query",), ("search", "x"), ("vacuum",)):
        ended = subprocess.run(
            [sys.executable, "-c", code, "data", *argv],
            cwd=cli.workspace,
            env=environment(MAGSAG_DB="journal.db"),
            stdout=subprocess.DEVNULL,
            check=False,
        )
        assert ended.returncode == 0


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_shows_how_many_rows_there_are(cli: Cli, journal: Path, quiet: bool) -> None:
    write(journal, a_run(), many(3))
    terminal, stderr = pty.openpty()
    process = subprocess.Popen(
        command("data", "export", "--output", "out", *(["--quiet"] if quiet else [])),
        cwd=cli.workspace,
        env=environment(MAGSAG_DB="journal.db"),
        stdin=subprocess.DEVNULL,
        stderr=stderr,
    )
    os.close(stderr)
    shown = bytearray()
    try:
        while data := os.read(terminal, 65_536):
            shown += data
    except OSError:  # Linux says so when the last writer has gone
        pass
    finally:
        os.close(terminal)
    assert process.wait() == 0
    assert shown.decode() == ("" if quiet else "\r3 rows\r\x1b[K3 rows written to out\r\n")
