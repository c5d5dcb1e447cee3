"""Every command on a server: the same answers as from a file, no password, no table made."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runtime.journal.location import Address, without_passwords
from tests import postgres
from tests.cli_workspace import ROOT, Cli, environment, make_workspace
from tests.data_journals import NOON, a_call, a_record, a_run, an_end, write_at
from tests.stores import place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime.journal import Record

pytestmark = pytest.mark.real_time

LARGE = f"{'x ' * 40_000}the needle"


def history() -> Iterator[Record]:
    """Runs of every kind, with texts that a database might take for something else."""
    yield from a_run("one", target="flow", input={"text": "50 % of ?s, :names and $1"}, argv=["x"])
    asked = {"agent": "clerk", "path": "main/clerk", "provider": "p_1", "reserved_nano_usd": 90}
    more = {"request": {"messages": [["user", "naïve needle"]]}, "contents": "keep"}
    yield from a_call(run="one", asked=asked | more, said={"text": "ok"}, cost=70)
    asked = {"agent": "main", "model": "gpt-[4]*", "reserved_nano_usd": 10, "tenant": "acme"}
    yield from a_call("b:0:1/chat:1:1", run="one", at=NOON + 2, asked=asked, cost=5)
    failed = {"error": "a 'quoted' \\ one", "error_class": "ServerError", "reason": "provider"}
    yield a_record("invocation_started", "c", run="one", at=NOON + 3, agent="a%b_c", model="m")
    yield a_record("invocation_failed", "c", run="one", at=NOON + 4, **failed)
    yield a_record("skill_started", "main:0:1/sum:1:1", run="one", at=NOON + 5)
    yield a_record("skill_failed", "main:0:1/sum:1:1", run="one", at=NOON + 6, reason="crash")
    yield a_record("log", "large", run="one", at=NOON + 7, text=LARGE)
    yield from an_end("one", NOON + 8)
    yield from a_run("two", NOON + 10, target="Ärger")
    yield a_record("run_failed", run="two", at=NOON + 11, error="straße", reason="deadline")
    yield from a_run("three", NOON + 20, pid=1, host="elsewhere")


COMMANDS = (
    "runs --json",
    "runs --status failed --json",
    "runs --status lost --json",
    "show one --json --events",
    "show tw --json",
    "trace show one --json",
    "data query --contents",
    "data query --format csv --status completed",
    "data query --agent clerk",
    "data query --model gpt*",
    "data query --model gpt-[4]*",
    "data query --model m?",
    "data query --workflow flow --provider p_1 --since 2020-01-01 --until 2030-01-01",
    "data query --format table --limit 1",
    "data export --format ndjson --quiet",
    "data search needle",
    "data search strasse",
    "data search sum --agent main",
    "data search ne+dle --limit 1",
    "data search nothing at all",
    "flow summarize",
    "flow summarize --workflow flow",
    "providers stats --json",
)


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(tmp_path, capsys)


def answers(
    cli: Cli, where: str, commands: tuple[str, ...] = COMMANDS[:-2:3]
) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for command in commands:
        head, _, tail = command.partition(" search ")
        argv = [*head.split(), "search", *split(tail)] if tail else head.split()
        code, out, _ = cli(*argv, "--db", where)
        found[command] = code, out
    return found


def split(tail: str) -> list[str]:
    """Return the pattern, which may have blanks, and the options."""
    pattern, *options = re.split(r" (?=--)", tail)
    return [pattern, *(word for option in options for word in option.split(" "))]


def test_a_server_answers_as_a_file_does(cli: Cli, tmp_path: Path) -> None:
    with place("sqlite", tmp_path) as file, place("postgres", tmp_path) as server:
        for where in (file, server):
            write_at(where, history())
        from_file, from_server = (answers(cli, each, COMMANDS) for each in (file, server))
    for command in COMMANDS:
        assert from_server[command] == from_file[command], command
        assert from_file[command][0] == 0, command
    assert "needle" in from_server["data search needle"][1]
    assert "straße" in from_server["data search strasse"][1]


def test_reading_makes_nothing(cli: Cli) -> None:
    shared = postgres.server()
    with shared.database() as name:
        for command in ("runs", "data query --format table", "data search x", "flow summarize"):
            code, _, err = cli(*command.split(), "--db", shared.url(name))
            assert code == 0
            assert "no runs in" in err or "there is no journal postgresql://" in err
        assert cli("show", "last", "--db", shared.url(name))[0] == 1
        (made,) = shared.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'magsag'", name)
    assert made == (0,)


def test_a_bound_of_the_size_is_for_a_file(cli: Cli, tmp_path: Path) -> None:
    with place("postgres", tmp_path) as server:
        write_at(server, history())
        code, _, err = cli("data", "vacuum", "--max-mb", "1", "--db", server)
    assert (code, err.count("\n")) == (1, 1)
    assert "a bound of the size is for a journal in a file" in err


def swept(cli: Cli, where: str, *argv: str) -> dict[str, object]:
    code, out, err = cli("data", *argv, "--json", "--db", where)
    assert code == 0, err
    return {
        name: value
        for name, value in json.loads(out).items()
        if name not in {"bytes", "archives", "over_bytes"}
    }


def test_old_runs_leave_a_server_as_they_leave_a_file_and_come_back(
    cli: Cli, tmp_path: Path
) -> None:
    """A dry run changes nothing; an archive of one may be restored into the other."""
    with place("sqlite", tmp_path) as file, place("postgres", tmp_path) as server:
        for where in (file, server):
            write_at(where, history())
        whole = answers(cli, server)
        archived = ("archive", "kept", "--older-than", "0m", "--status", "completed")
        for argv in ((*archived, "--dry-run"), ("vacuum", "--older-than", "0m", "--dry-run")):
            assert swept(cli, server, *argv) == swept(cli, file, *argv)
        assert answers(cli, server) == whole
        assert swept(cli, server, *archived) == swept(cli, file, *archived)
        (kept,) = {path for path in (tmp_path / "kept").iterdir() if path.suffix == ".gz"}
        without = answers(cli, server)
        assert without == answers(cli, file)
        assert without["show one --json --events"][0] == 1
        for where in (file, server):
            restored = swept(cli, where, "restore", str(kept))
            assert (restored["runs"], restored["differing"]) == (1, [])
            assert swept(cli, where, "restore", str(kept))["present"] == 1
        assert answers(cli, server) == whole == answers(cli, file)
        assert swept(cli, server, "vacuum", "--older-than", "0m") == swept(
            cli, file, "vacuum", "--older-than", "0m"
        )
        assert answers(cli, server)["runs --json"] == answers(cli, file)["runs --json"]


def test_a_password_is_in_no_message_and_no_record(tmp_path: Path) -> None:
    workspace, shared = make_workspace(tmp_path), postgres.server()
    with shared.database() as name:
        url = shared.url(name, tcp=True).replace("@", ":s%2Bcret@")
        given = ("--input", '{"text": "hi"}', "--run-id", "r", "--verbose")
        done = process(workspace, "run", "says", *given, "--db", url)
        assert done.returncode == 0, done.stderr
        events = process(workspace, "show", "r", "--json", "--events", f"--db={url}")
        assert "127.0.0.1" in events.stdout
        gone = url.replace(f":{shared.port}/", ":1/")
        for argv in (["runs"], ["run", "says", "--debug"], ["data", "query"]):
            failed = process(workspace, *argv, "--db", gone)
            assert failed.returncode == 1
            assert "postgresql://magsag@127.0.0.1:1/" in failed.stderr
            assert not holds_secret(failed)
    assert not holds_secret(done)
    assert not holds_secret(events)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://u:p@h:1/d?x=y", "postgresql://u@h:1/d"),
        ("postgres://u:p@h1,h2:2/d", "postgresql://u@h1,h2:2/d"),
        ("postgresql://h/d?password=p", "postgresql://h/d"),
        ("postgresql:///d?host=/run", "postgresql:///d"),
        ("--db=postgresql://u:p@h/d", "--db=postgresql://u@h/d"),
        ("nats://u:p@h:1,tls://u:p@i", "nats://h:1,tls://i"),
        ("--nats=nats://token@h", "--nats=nats://h"),
        ("journal.db", "journal.db"),
        ("--input=a@b", "--input=a@b"),
    ],
)
def test_an_argument_is_kept_without_its_password(given: str, shown: str) -> None:
    assert without_passwords(given) == shown


def test_what_a_driver_says_is_passed_on_without_secrets() -> None:
    address = Address("postgresql://u:p%40ss@h/d?sslpassword=other")
    said = f"{address.uri} p%40ss p@ss other"
    assert address.without_secrets(said) == "postgresql://u@h/d *** *** ***"


def test_what_is_no_address_is_said(cli: Cli) -> None:
    code, _, err = cli("runs", "--db", "postgresql://u:secret@[::1/d")
    assert (code, err.count("\n"), "secret" in err) == (1, 1, False)
    assert "write it like postgresql://user@host:port/dbname" in err


def process(workspace: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runtime", *argv],
        cwd=workspace,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def holds_secret(done: subprocess.CompletedProcess[str]) -> bool:
    return any(text in done.stdout + done.stderr for text in ("s%2Bcret", "s+cret"))


WITHOUT = """
import sys
sys.modules["psycopg"] = None
from runtime.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
UNUSED = """
import sys
from runtime.cli.main import main
code = main(sys.argv[1:])
sys.exit(code or any(name.startswith("psycopg") for name in sys.modules))
"""


def script(text: str, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text, *argv],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", ["runs", "run digest", "data search x"])
def test_without_the_extra_it_is_said_how_to_install_it(command: str) -> None:
    done = script(WITHOUT, *command.split(), "--db", "postgresql://u@h/d")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == (
        "error: a journal in PostgreSQL needs psycopg: pip install 'magsag-runtime[postgres]',"
        " or name a file with --db"
    )


def test_whoever_asks_for_a_file_imports_no_driver(tmp_path: Path) -> None:
    where = str(tmp_path / "journal.db")
    write_at(where, history())
    assert script(UNUSED, "runs", "--db", where).returncode == 0
