"""``data query``: the audit trail as JSON, CSV and a table."""

from __future__ import annotations

import csv
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.cli import data_calls
from runtime.cli.data_rows import COLUMNS, safe
from runtime.cli.main import main
from runtime.governance.cost import dollars
from runtime.journal import CallQuery, SqliteJournal
from runtime.journal.reader import Reader
from tests.cli_workspace import Cli, command, environment
from tests.data_journals import NOON, a_call, a_record, a_run, an_end, change, line, write

if TYPE_CHECKING:
    from runtime.journal import Filed, Record

A_FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return line(tmp_path, capsys, monkeypatch)


@pytest.fixture
def journal(cli: Cli) -> Path:
    return cli.workspace / "journal.db"


def asked(cli: Cli, *argv: str) -> list[dict[str, Any]]:
    code, out, err = cli("data", "query", *argv)
    assert (code, err) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)
    return found


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_model_is_found_by_its_name_with_its_provider_and_without(
    cli: Cli, journal: Path
) -> None:
    write(journal, a_run(), a_call(asked={"provider": "openai"}), an_end())
    for name, found in (
        ("gpt-4o", 1), ("openai/gpt-4o", 1), ("openai/*", 1), ("azure/*", 0), ("openai/gpt", 0)
    ):  # fmt: skip
        assert len(asked(cli, "--model", name)) == found, name


def test_a_call_is_a_row_with_everything_that_is_known_of_it(cli: Cli, journal: Path) -> None:
    begun = {
        "path": "main/sub",
        "agent": "sub",
        "task": "sub-1",
        "tenant": "acme",
        "level": "route",
        "route": "summary",
        "data_classes": "pii,salary",
        "region": "eu",
        "request_sha256": "ab",
        "price_source": "catalog",
    }
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_input_tokens": 4,
        "cache_write_tokens": 2,
        "reasoning_tokens": 1,
    }
    ended = {
        "usage": usage,
        "model": "gpt-4o-2026",
        "usage_source": "provider",
        "service_tier": "default",
        "attempts": 2,
        "finish_reason": "stop",
        "reply_sha256": "cd",
        "request_id": "req_1",
    }
    write(journal, a_run(), a_call(asked=begun, said=ended, cost=12), an_end())
    (row,) = asked(cli)
    assert tuple(row) == COLUMNS
    assert row == {
        "run_id": "r",
        "workflow": "flow",
        "agent": "sub",
        "path": "main/sub",
        "task": "sub-1",
        "tenant": "acme",
        "provider": "openai",
        "model": "gpt-4o",
        "served_model": "gpt-4o-2026",
        "status": "completed",
        "started_at": "2026-09-21T14:13:20.000Z",
        "ended_at": "2026-09-21T14:13:21.000Z",
        "duration_s": 1.0,
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "cached_input_tokens": 4,
        "cache_write_tokens": 2,
        "reasoning_tokens": 1,
        "cost_usd": 1.2e-08,
        "cost_nano_usd": 12,
        "unpriced": False,
        "settled_nano_usd": 12,
        "usage_source": "provider",
        "service_tier": "default",
        "attempts": 2,
        "finish_reason": "stop",
        "reason": "",
        "error_class": "",
        "error": "",
        "decision": "allowed",
        "policy": "",
        "data_classes": ["pii", "salary"],
        "region": "eu",
        "level": "route",
        "route": "summary",
        "request_sha256": "ab",
        "reply_sha256": "cd",
        "request_id": "req_1",
        "price_source": "catalog",
    }
    (cells,) = parsed(cli("data", "query", "--format", "csv")[1])
    assert tuple(cells) == COLUMNS
    assert (cells["cost_usd"], cells["unpriced"]) == ("0.000000012", "false")
    assert (cells["data_classes"], cells["duration_s"]) == ("pii,salary", "1.0")


def test_what_is_not_over_has_no_end_and_what_has_no_price_no_cost(cli: Cli, journal: Path) -> None:
    unpriced = a_call("main:0:1/chat:1:1", said={"unpriced": True})
    write(journal, a_run(), a_call("main:0:1/chat:2:1", at=NOON + 5)[:1], unpriced)
    running, done = asked(cli)
    assert (running["status"], running["ended_at"], running["duration_s"]) == (
        *("running", None, None),
    )
    assert (running["cost_usd"], done["cost_usd"], done["unpriced"]) == (0.0, None, True)
    running_cells, done_cells = parsed(cli("data", "query", "--format", "csv")[1])
    assert (running_cells["ended_at"], done_cells["cost_usd"]) == ("", "")


def many(count: int, *, ties: int = 1) -> list[Record]:
    """Return calls of which some begin at the same moment."""
    return [
        record
        for number in range(count)
        for record in a_call(
            f"main:0:1/chat:{number}:1", at=NOON + number // ties, said={"request_id": f"q{number}"}
        )
    ]


@given(
    count=st.integers(0, 23),
    page=st.integers(1, 7),
    limit=st.none() | st.integers(1, 30),
    ties=st.integers(1, 5),
    form=st.sampled_from(("json", "csv")),
)
@A_FEW
def test_every_call_is_there_once_in_its_order_however_long_the_pages_are(
    count: int, page: int, limit: int | None, ties: int, form: str
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_calls, "PAGE", page)
        patch.setattr(sys, "stdout", out := io.StringIO())
        path = write(Path(folder) / "j.db", a_run(), many(count, ties=ties))
        argv = ["data", "query", "--db", str(path), "--format", form]
        assert main([*argv, *([] if limit is None else ["--limit", str(limit)])]) == 0
    found = json.loads(out.getvalue()) if form == "json" else parsed(out.getvalue())
    places = sorted(((n // ties, f"chat:{n}:1", f"q{n}") for n in range(count)), reverse=True)
    assert [row["request_id"] for row in found] == [place[-1] for place in places][:limit]


def test_pages_are_asked_for_one_after_the_other_and_no_larger_than_a_page(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, a_run(), many(25))
    sizes: list[int] = []
    read = Reader.calls

    async def counted(reader: Reader, query: CallQuery) -> list[Filed]:
        page = await read(reader, query)
        sizes.append(len(page))
        return page

    monkeypatch.setattr(data_calls, "PAGE", 10)
    monkeypatch.setattr(Reader, "calls", counted)
    assert len(asked(cli)) == 25
    assert sizes == [10, 10, 5]


texts = st.text(max_size=12) | st.sampled_from(
    ("=1+1", "+1", "-1", "@x", "\tx", "\rx", 'a"b', "a,b", "a\nb", "a\r\nb", "\x1b[31m", "\x9b", "")
)


@given(errors=st.lists(texts, min_size=1, max_size=5))
@A_FEW
def test_csv_parses_back_to_the_rows_and_no_cell_is_a_formula(errors: list[str]) -> None:
    failed = [
        a_record("invocation_failed", f"main:0:1/chat:{n}:1", error=error, at=NOON + n)
        for n, error in enumerate(errors)
    ]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out := io.StringIO(newline=""))
        path = write(Path(folder) / "j.db", a_run(), failed)
        assert main(["data", "query", "--db", str(path), "--format", "csv"]) == 0
    cells = [row["error"] for row in parsed(out.getvalue())][::-1]
    assert cells == [safe(error) for error in errors]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert not set("".join(cells)) & {*map(chr, (*range(9), *range(11, 32), *range(127, 160)))}


def test_a_cell_that_a_spreadsheet_would_compute_begins_with_an_apostrophe() -> None:
    assert [safe(text) for text in ("=1", "+1", "-1", "@a", "\ta", "\ra")] == [
        *("'=1", "'+1", "'-1", "'@a", "'\ta", "'\\x0da")
    ]
    assert [safe(text) for text in ("plain", "a=b", "two\nlines", "\x1b[31m", "\x9b")] == [
        *("plain", "a=b", "two\nlines", "\\x1b[31m", "\\x9b")
    ]


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (12, "0.000000012"),
        (120_000_000, "0.12"),
        (10_000_000_000, "10"),
        (2**53, "9007199.254740992"),
    ],
)
def test_money_in_csv_is_exact_and_has_no_exponent(nano: int, text: str) -> None:
    assert dollars(nano) == text


@pytest.fixture
def several(journal: Path) -> Path:
    """Calls that differ in everything that can be asked for."""
    denied = {"provider": "openai", "model": "gpt-4o", "agent": "main", "policy": "no_gpt"}
    other = {"provider": "anthropic", "model": "claude-x", "agent": "sub", "path": "main/sub"}
    return write(
        journal,
        a_run("one", NOON, pid=os.getpid(), host=socket.gethostname()),
        a_call("main:0:1/chat:0:1", run="one", at=NOON, asked={"tenant": "acme"}),
        a_call("main:0:1/sub:0:1/chat:0:1", run="one", at=NOON + 10, asked=other),
        [a_record("invocation_denied", "d", run="one", at=NOON + 20, **denied)],
        [a_record("invocation_cached", "c", run="one", at=NOON + 30, **other)],
        [a_record("invocation_failed", "f", run="one", at=NOON + 40, error="e", reason="r")],
        a_run("two", NOON + 50, target="nightly"),
        a_call("main:0:1/chat:0:1", run="two", at=NOON + 50, said={"model": "gpt-4o-mini"}),
        a_call("main:0:1/chat:1:1", run="one", at=NOON + 60)[:1],
    )


@pytest.mark.parametrize(
    ("argv", "seconds"),
    [
        ((), [60, 50, 40, 30, 20, 10, 0]),
        (("--run-id", "two"), [50]),
        (("--agent", "sub"), [30, 10]),
        (("--agent", "main"), [60, 50, 30, 20, 10, 0]),
        (("--model", "gpt-4o"), [60, 50, 20, 0]),
        (("--model", "gpt-*"), [60, 50, 20, 0]),
        (("--model", "*mini"), [50]),
        (("--provider", "anthropic"), [30, 10]),
        (("--tenant", "acme"), [0]),
        (("--workflow", "nightly"), [50]),
        (("--status", "completed"), [50, 10, 0]),
        (("--status", "denied"), [20]),
        (("--status", "cached"), [30]),
        (("--status", "failed"), [40]),
        (("--status", "running"), [60]),
        (("--status", "lost"), []),
        (("--since", "2026-09-21T14:13:40"), [60, 50, 40, 30, 20]),
        (("--until", "2026-09-21T14:13:40"), [10, 0]),
        (("--since", "2026-09-21T14:13:40", "--until", "2026-09-21T14:13:41"), [20]),
        (("--provider", "anthropic", "--status", "cached"), [30]),
        (("--limit", "2"), [60, 50]),
        (("--run-id", "nobody"), []),
    ],
)
def test_only_the_calls_that_are_asked_for_are_there(
    cli: Cli, several: Path, argv: tuple[str, ...], seconds: list[int]
) -> None:
    del several
    found = [row["started_at"] for row in asked(cli, *argv)]
    assert found == [
        f"2026-09-21T14:{13 + (20 + s) // 60}:{(20 + s) % 60:02}.000Z" for s in seconds
    ]


def test_the_calls_of_a_dead_process_are_lost_and_found_as_such_on_every_page(
    cli: Cli, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    begun = [a_call(f"main:0:1/chat:{n}:1", at=NOON + n)[0] for n in range(5)]
    done = a_call("main:0:1/chat:9:1", at=NOON + 2.5)
    write(journal, a_run(pid=dead.pid, host=socket.gethostname()), begun, done)
    monkeypatch.setattr(data_calls, "PAGE", 2)
    assert [row["status"] for row in asked(cli, "--status", "lost")] == ["lost"] * 5
    assert len(asked(cli, "--status", "lost", "--limit", "3")) == 3
    assert asked(cli, "--status", "running") == []


def test_prompts_and_replies_are_there_only_where_a_policy_keeps_them(
    cli: Cli, journal: Path
) -> None:
    request = {"messages": [["user", "half a pair \ud800, an \u00e9"]], "system": None}
    said = {"text": "=done", "tool_calls": [["1", "shout", "{}"]]}
    kept = {"contents": "keep", "request": request}
    write(
        journal,
        a_run(),
        a_call("a", at=NOON, asked=kept, said=said),
        a_call("b", at=NOON + 1, asked={"request": request}, said=said),
        a_call("c", at=NOON + 2, asked={"contents": "digest"}),
        a_call("d", at=NOON + 3, asked=kept | {"request": {"messages": ["x" * 70_000]}})[:1],
    )
    running, digest, unsaid, done = asked(cli, "--contents")
    assert (done["prompt"], done["reply"]) == (request, said)
    assert (unsaid["prompt"], unsaid["reply"]) == (None, None)
    assert (digest["prompt"], digest["reply"]) == (None, None)
    assert (running["prompt"], running["reply"]) == ({"messages": ["x" * 70_000]}, None)
    assert "prompt" not in asked(cli)[0]
    *_, cells = parsed(cli("data", "query", "--contents", "--format", "csv")[1])
    assert json.loads(cells["prompt"]) == request
    assert json.loads(cells["reply"]) == said
    code, out, err = cli("data", "query", "--contents", "--format", "table")
    assert (code, out) == (1, "")
    assert "use --format json or csv" in err


def test_a_table_shows_the_newest_fifty_and_says_that_there_are_more(
    cli: Cli, journal: Path
) -> None:
    failed = a_record("invocation_failed", "f", at=NOON + 99, error="why " * 100, reason="r")
    write(journal, a_run(), many(50), [failed])
    code, out, err = cli("data", "query", "--format", "table")
    head, first, *others = out.splitlines()
    assert code == 0
    assert head.split() == [
        *("STARTED", "RUN", "AGENT", "MODEL", "STATUS", "TOKENS", "COST", "ERROR")
    ]
    assert first.endswith("...")
    assert len(others) == 49
    assert "these are the newest 50; --limit N shows more" in err
    code, out, err = cli("data", "query", "--format", "table", "--limit", "51")
    assert (len(out.splitlines()), err) == (52, "")
    assert "openai/gpt-4o  completed  7       $0.000000" in out
    code, out, err = cli("data", "query", "--format", "table", "--run-id", "none")
    assert (code, out) == (0, "")
    assert "no such model calls in " in err


def test_without_a_journal_there_is_an_empty_result_and_a_note_and_no_file_is_made(
    cli: Cli,
) -> None:
    empty = {"json": "[]\n", "csv": ",".join(f'"{name}"' for name in COLUMNS) + "\r\n", "table": ""}
    for form, nothing in empty.items():
        code, out, err = cli("data", "query", "--format", form)
        assert (code, out) == (0, nothing)
        assert "there is no journal " in err
    assert list(cli.workspace.iterdir()) == []


def test_a_journal_without_calls_is_an_empty_array(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), an_end())
    assert cli("data", "query") == (0, "[]\n", "")


def test_what_is_wrong_is_one_line_that_says_what_to_do(cli: Cli, journal: Path) -> None:
    journal.write_text("no database " * 100)
    (cli.workspace / "folder").mkdir()
    for argv, words in (
        ((), "choose another file with --db"),
        (("--db", "folder"), "is a folder; name a file in it with --db"),
        (("--db", ":memory:"), "keeps nothing to look at; name a file"),
        (("--since", "soon"), "--since 'soon' is no time; write it like 30m"),
        (("--until", "soon"), "--until 'soon' is no time; write it like 30m"),
        (("--status", "asleep"), "see python -m runtime data query --help"),
        (("--limit", "0"), "see python -m runtime data query --help"),
    ):
        code, out, err = cli("data", "query", *argv)
        (told,) = err.splitlines()
        assert (code, out) == (1, "")
        assert words in told


def test_an_earlier_version_s_journal_is_refused_until_it_is_brought_up_to_date(
    cli: Cli, journal: Path
) -> None:
    write(journal, a_run(), a_call())
    change(journal, "DROP TABLE call")
    change(journal, "DROP TABLE spending")
    change(journal, "DROP TABLE lease")
    change(journal, "DROP TABLE branch")
    change(journal, "DROP INDEX journal_sha256")
    change(journal, "DROP INDEX journal_requests")
    for column in ("parked_at", "parked_seq", "asked_seq"):
        change(journal, f"ALTER TABLE run DROP COLUMN {column}")
    change(journal, "PRAGMA user_version = 1")
    for command_line in (("query",), ("export",), ("search", "x"), ("vacuum", "--dry-run")):
        code, out, err = cli("data", *command_line)
        assert (code, out) == (1, "")
        assert "data vacuum --db " in err
    assert cli("data", "vacuum")[0] == 0
    assert [row["run_id"] for row in asked(cli)] == ["r"]


@pytest.mark.real_time
async def test_the_trail_is_read_beside_a_process_that_writes_it(cli: Cli, journal: Path) -> None:
    opened = await SqliteJournal.open(journal)
    for record in [*a_run(), *many(3)]:
        opened.append(record)
    await opened.flush()
    ended = await anyio.run_process(command("data", "query", "--db", str(journal)))
    await opened.close()
    assert len(json.loads(ended.stdout)) == 3


def started(cli: Cli, *argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command("data", "query", *argv),
        cwd=cli.workspace,
        env=environment(MAGSAG_DB="journal.db"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_reader_that_leaves_is_no_error(cli: Cli, journal: Path, form: str) -> None:
    write(journal, a_run(), many(3_000))
    with started(cli, "--format", form) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        told = process.stderr.read()
    assert (process.returncode, told) == (0, b"")


def test_ctrl_c_ends_it_without_a_traceback(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), many(3_000))
    with started(cli) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.send_signal(signal.SIGINT)  # while it waits for its reader
        _, told = process.communicate()
    assert (process.returncode, told) == (130, b"cancelled\n")


def test_ctrl_c_again_ends_it_even_while_its_reader_reads_nothing(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), many(3_000))
    with started(cli) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        told = False
        while not told:  # the first is noted, the second breaks off the write that is stuck
            process.send_signal(signal.SIGINT)
            told = bool(select.select([process.stderr], [], [], 0.5)[0])
        _, err = process.communicate()
    assert (process.returncode, err) == (130, b"cancelled\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_one_line(cli: Cli, journal: Path) -> None:
    write(journal, a_run(), many(3))
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            command("data", "query"),
            cwd=cli.workspace,
            env=environment(MAGSAG_DB="journal.db"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    (told,) = ended.stderr.splitlines()
    assert "the result cannot be written: No space left on device" in told


@pytest.mark.parametrize("name", ["query", "export", "search", "vacuum"])
def test_help_tells_the_fields(cli: Cli, name: str) -> None:
    code, out, _ = cli("data", name, "--help")
    words = {"query": "cost_nano_usd", "export": "cost_nano_usd", "search": "snippet"}
    assert code == 0
    assert words.get(name, "dry_run") in out
