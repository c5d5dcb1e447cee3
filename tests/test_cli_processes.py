"""The command line in processes of their own: signals, pipes, start-up, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli_workspace import command, environment, make_workspace, run_process

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = (
    *("pydantic", "structlog", "httpx", "opentelemetry.sdk", "rich", "anyio", "asyncio", "yaml"),
    *("otel", "runtime.catalog", "runtime.journal", "runtime.engines", "sqlite3", "nats"),
)
WITHOUT_HEAVY = f"""
import sys
from runtime.cli.main import main
code = main(sys.argv[1:])
loaded = [name for name in {HEAVY!r} if name in sys.modules]
sys.exit(f"loaded: {{loaded}}" if loaded or code else 0)
"""
# What no run needs that neither logs nor exports anything. A module is 1 ms, a library up to 100.
FOREIGN_TO_A_RUN = (
    *("structlog", "rich", "pygments", "attr", "httpx", "http.client", "opentelemetry", "grpc"),
    *("otel.spool.spool", "otel.recording", "runtime.gauges", "runtime.journal.postgres"),
    *("nats", "psycopg", "runtime.engines.cluster", "runtime.engines.nats", "runtime.clustered"),
    *("runtime.replay", "runtime.fork_plan", "runtime.resume_rules", "runtime.journal.vacuum"),
)
MOST_MODULES = 650  # of a run of hello, those of Python, pydantic and all else included; it has 590
FOREIGN_TO_A_READER = (*FOREIGN_TO_A_RUN, "pydantic", "yaml", "runtime.catalog", "otel.tracing")
CARRIED_OUT = f"""
import sys
from runtime.cli.main import main
code = main(sys.argv[2:])
loaded = [name for name in sys.argv[1].split() if name in sys.modules]
many = len(sys.modules) if len(sys.modules) > {MOST_MODULES} else 0
sys.exit(f"loaded: {{loaded}}, {{many}} modules" if loaded or many or code else 0)
"""

MOST_COLLECTIONS = 60  # of garbage, half of them before this program begins; Python has 150
COLLECTED = f"""
import atexit, gc, runpy, sys
def tell():
    times = sum(each["collections"] for each in gc.get_stats())
    if times > {MOST_COLLECTIONS}:
        print(f"garbage was collected {{times}} times", file=sys.stderr)
atexit.register(tell)
runpy.run_module("runtime", run_name="__main__")
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path)


@pytest.mark.parametrize(
    "argv",
    [
        ("--help",),
        ("run", "--help"),
        ("list", "--help"),
        ("runs", "--help"),
        ("show", "--help"),
        ("resume", "--help"),
        ("up", "--help"),
        ("nodes", "--help"),
        ("init", "--help"),
        ("catalog", "--help"),
        ("catalog", "validate", "--help"),
    ],
)
def test_help_imports_nothing_heavy(tmp_path: Path, argv: tuple[str, ...]) -> None:
    ended = subprocess.run(  # our own interpreter
        [sys.executable, "-c", WITHOUT_HEAVY, *argv],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.stderr == ""
    assert ended.stdout.startswith("Usage: python -m runtime")


@pytest.mark.parametrize(
    ("argv", "foreign", "said"),
    [
        (("run", "hello", "--quiet"), FOREIGN_TO_A_RUN, "Hello, world!\n"),
        (("runs", "--json"), FOREIGN_TO_A_READER, "[]\n"),
    ],
)
def test_a_command_imports_only_what_it_needs(
    tmp_path: Path, argv: tuple[str, ...], foreign: tuple[str, ...], said: str
) -> None:
    ended = subprocess.run(  # our own interpreter
        [sys.executable, "-c", CARRIED_OUT, " ".join(foreign), *argv],
        cwd=tmp_path,
        env=environment(MAGSAG_DB=str(tmp_path / "journal.db")),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.stderr, ended.stdout) == ("", said)


def test_a_run_begins_with_hardly_a_look_for_garbage(tmp_path: Path) -> None:
    ended = subprocess.run(  # our own interpreter
        [sys.executable, "-c", COLLECTED, "run", "hello", "--quiet"],
        cwd=tmp_path,
        env=environment(MAGSAG_DB=str(tmp_path / "journal.db")),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.stderr, ended.stdout) == ("", "Hello, world!\n")


def test_help_names_every_command_the_exit_codes_and_where_the_journal_is(tmp_path: Path) -> None:
    ended = run_process(tmp_path, "--help")
    assert ended.returncode == 0
    words = ("run", "list", "runs", "show", "init", "catalog", "130", ".magsag/journal.db")
    assert [word for word in words if word not in ended.stdout] == []


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("run", "tree", "--json"), 0),
        (("run", "required", "--input", '{"bogus": 1}', "--json"), 1),
        (("run", "crashes", "--json"), 2),
        (("runn",), 1),
        (("show", "nothing"), 1),
    ],
)
def test_the_process_ends_with_the_code_that_help_promises(
    workspace: Path, argv: tuple[str, ...], code: int
) -> None:
    ended = run_process(workspace, *argv)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    if "--json" in argv:
        assert json.loads(ended.stdout)["run_id"]


class Process:
    """A run whose body has begun."""

    def __init__(self, workspace: Path, agent: str) -> None:
        self.workspace = workspace
        self.popen = subprocess.Popen(  # our own interpreter
            command("run", agent, "--run-id", "it", "--json"),
            cwd=workspace,
            env=environment(MAGSAG_DB=str(workspace / "journal.db")),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.read_until("the body began")

    def read_until(self, words: str) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            if words in line:
                return
        pytest.fail(f"the process ended without saying {words!r}")

    def end(self) -> tuple[int, str, str]:
        out, err = self.popen.communicate(timeout=30)
        return self.popen.returncode, out, err

    def shown(self) -> dict[str, Any]:
        ended = run_process(self.workspace, "show", "it", "--json", "--events")
        assert ended.returncode == 0
        found: dict[str, Any] = json.loads(ended.stdout)
        return found


@pytest.mark.parametrize("agent", ["sleeps", "blocks"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_the_run_in_order(
    workspace: Path, agent: str, number: signal.Signals
) -> None:
    process = Process(workspace, agent)
    process.popen.send_signal(number)
    code, out, err = process.end()
    assert code == 130
    assert "cancelling; press Ctrl-C again to kill" in err
    assert "Traceback" not in err
    outcome = json.loads(out)
    assert (outcome["status"], outcome["reason"]) == ("cancelled", "cancelled")
    assert outcome["error"] == "it was cancelled"
    shown = process.shown()
    assert shown["status"] == "cancelled"
    assert shown["events"][-1]["kind"] == "run_cancelled"
    assert [task["status"] for task in shown["delegations"]] == ["failed"]


def test_the_second_signal_kills_even_where_an_agent_holds_up_the_event_loop(
    workspace: Path,
) -> None:
    process = Process(workspace, "hogs")
    while process.popen.poll() is None:
        process.popen.send_signal(signal.SIGINT)
        try:
            process.popen.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue
    code, out, _ = process.end()
    assert (code, out) == (130, "")
    assert process.shown()["status"] == "lost"


@pytest.mark.parametrize("agent", ["sleeps", "blocks"])
def test_however_many_signals_come_and_whenever_the_code_is_130(
    workspace: Path, agent: str
) -> None:
    process = Process(workspace, agent)
    while process.popen.poll() is None:
        process.popen.send_signal(signal.SIGINT)
    code, _, err = process.end()
    assert code == 130
    assert "Traceback" not in err


def test_a_signal_after_the_end_does_not_change_the_code(workspace: Path) -> None:
    process = Process(workspace, "blocks")
    process.popen.send_signal(signal.SIGINT)
    process.read_until("error: it was cancelled")
    process.popen.send_signal(signal.SIGINT)
    code, _, err = process.end()
    assert (code, err) == (130, "")


def test_a_run_whose_process_was_killed_is_lost(workspace: Path) -> None:
    process = Process(workspace, "sleeps")
    listed = run_process(workspace, "runs", "--status", "running", "--json")
    assert [row["status"] for row in json.loads(listed.stdout)] == ["running"]
    process.popen.kill()
    process.end()
    for status, count in (("lost", 1), ("running", 0)):
        listed = run_process(workspace, "runs", "--status", status, "--json")
        assert len(json.loads(listed.stdout)) == count


@pytest.mark.parametrize("argv", [("run", "writes-much"), ("--help",), ("list", "--json")])
def test_a_reader_that_leaves_early_is_no_error(workspace: Path, argv: tuple[str, ...]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    ended = subprocess.run(  # our own interpreter
        command(*argv),
        cwd=workspace,
        env=environment(MAGSAG_DB=":memory:"),
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(write_end)
    assert ended.returncode == 0
    assert "Error" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a full device")  # noqa: PTH110
def test_a_result_that_cannot_be_written_is_said(workspace: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = subprocess.run(  # our own interpreter
            command("run", "tree"),
            cwd=workspace,
            env=environment(MAGSAG_DB=":memory:"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert ended.returncode == 2
    assert "error: the result cannot be written: No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_characters_that_the_terminal_lacks_are_escaped(workspace: Path) -> None:
    argv = ("run", "says", "--input", '{"text": "é\\ud83d\\ude00"}')
    ended = run_process(workspace, *argv, PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stdout) == (0, "\\xe9\\U0001f600\n")
    ended = run_process(workspace, *argv, "--json", PYTHONIOENCODING="ascii")
    assert json.loads(ended.stdout)["output"] == "é\N{GRINNING FACE}"


def test_a_closed_stdout_is_no_traceback(workspace: Path) -> None:
    ended = subprocess.run(  # our own interpreter
        ["/bin/sh", "-c", 'exec "$0" "$@" >&-', *command("run", "tree", "--db", ":memory:")],
        cwd=workspace,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
