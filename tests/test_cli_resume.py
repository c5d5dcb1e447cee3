"""``resume``: processes that are really killed, by the command line."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.cli_workspace import command, environment, make_workspace, run_process
from tests.stores import SHARED, place

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real_time

SLOW = """\
import time
from runtime import Context, mag, sag, skill


@skill
def nap(number: int) -> int:
    with open("naps.txt", "a") as file:
        file.write(f"{number}\\n")
    time.sleep(0.3 if number == 3 else 0)
    return number


@mag
async def naps(ctx: Context) -> dict:
    return {"text": str([await ctx.use(nap, number) for number in range(1, 6)])}
"""
ENTRY = """\
name: naps
role: mag
description: Takes five naps.
entrypoint: agents/naps.py:naps
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    make_workspace(tmp_path)
    (tmp_path / "agents" / "naps.py").write_text(SLOW)
    (tmp_path / "catalog" / "agents" / "naps.yaml").write_text(ENTRY)
    return tmp_path


def killed_run(workspace: Path, run_id: str, *options: str, where: str = "journal.db") -> None:
    """Start a run, and kill it in its third nap."""
    naps = workspace / "naps.txt"
    naps.unlink(missing_ok=True)
    environ = environment(MAGSAG_DB=where)
    argv = command("run", "naps", "--run-id", run_id, "--durability", "strict", *options)
    with subprocess.Popen(
        argv, cwd=workspace, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while not (naps.exists() and "3" in naps.read_text()):
            time.sleep(0.005)  # noqa: TID251  # a process of its own takes its time
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("store", SHARED)
def test_a_killed_run_is_lost_and_then_gone_on_with(workspace: Path, store: str) -> None:
    with place(store, workspace) as where:
        _lost_and_gone_on_with(workspace, where)


def _lost_and_gone_on_with(workspace: Path, where: str) -> None:
    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return run_process(workspace, *argv, MAGSAG_DB=where)

    killed_run(workspace, "one", where=where)
    listed = json.loads(run("runs", "--status", "lost", "--json").stdout)
    assert [row["run_id"] for row in listed] == ["one"]
    done = run("resume", "one", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"] == {"text": "[1, 2, 3, 4, 5]"}
    assert (workspace / "naps.txt").read_text().split() == ["1", "2", "3", "3", "4", "5"]
    shown = run("show", "one")
    assert "completed" in shown.stdout
    again = run("resume", "one")
    assert (again.returncode, again.stdout) == (1, "")
    assert "run one is over: completed" in again.stderr


def test_all_that_were_killed_are_gone_on_with(workspace: Path) -> None:
    for name in ("one", "two", "three"):
        killed_run(workspace, name)
    done = run_process(workspace, "resume", "--all", "--json")
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert [each["run_id"] for each in outcomes] == ["one", "two", "three"]
    assert {each["status"] for each in outcomes} == {"completed"}
    again = run_process(workspace, "resume", "--all")
    assert (again.returncode, again.stdout) == (0, "")
    assert "no run has died" in again.stderr


def test_two_that_go_on_with_all_share_the_runs_and_none_of_them_fails(workspace: Path) -> None:
    for name in ("one", "two", "three"):
        killed_run(workspace, name)
    environ = environment(MAGSAG_DB="journal.db")
    both = [
        subprocess.Popen(
            command("resume", "--all"), cwd=workspace, env=environ, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in both:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    rows = json.loads(run_process(workspace, "runs", "--json").stdout)
    assert [row["status"] for row in rows] == ["completed"] * 3


def test_runs_of_another_workspace_are_left_alone_and_told(workspace: Path) -> None:
    killed_run(workspace, "one")
    entry = workspace / "catalog" / "agents" / "naps.yaml"
    entry.unlink()
    refused = run_process(workspace, "resume", "--all")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "error: run one (naps): no agent 'naps'" in refused.stderr
    assert "no run has died" not in refused.stderr
    entry.write_text(ENTRY)
    assert run_process(workspace, "resume", "--all").returncode == 0


def test_of_two_who_resume_a_run_one_does(workspace: Path) -> None:
    killed_run(workspace, "one")
    environ = environment(MAGSAG_DB=str(workspace / "journal.db"))
    both = [
        subprocess.Popen(
            command("resume", "one", "--json"), cwd=workspace, env=environ,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [process.communicate() for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes == [0, 1], said
    (refusal,) = (err for (_, err), process in zip(said, both, strict=True) if process.returncode)
    assert re.search(r"run one is (under way in process \d+ on|over: completed)", refusal)
    assert (workspace / "naps.txt").read_text().split() == ["1", "2", "3", "3", "4", "5"]


def test_ctrl_c_ends_a_run_that_is_gone_on_with_as_it_does_any_other(workspace: Path) -> None:
    killed_run(workspace, "one")
    environ, naps = environment(MAGSAG_DB=str(workspace / "journal.db")), workspace / "naps.txt"
    with subprocess.Popen(
        command("resume", "one", "--json"), cwd=workspace, env=environ,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while naps.read_text().count("3") < 2:
            time.sleep(0.005)  # noqa: TID251  # a process of its own takes its time
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, json.loads(out)["status"]) == (130, "cancelled"), err
    assert "is over: cancelled" in run_process(workspace, "resume", "one").stderr


BUSY = """\
import os
import time

open("loads.txt", "a").close()
while not os.path.exists("go.txt"):
    time.sleep(0.005)

"""


@pytest.mark.parametrize("which", ["one", "--all"])
def test_ctrl_c_before_a_run_is_gone_on_with_leaves_it_as_it_was(
    workspace: Path, which: str
) -> None:
    killed_run(workspace, "one")
    environ = environment(MAGSAG_DB=str(workspace / "journal.db"))
    (workspace / "agents" / "naps.py").write_text(BUSY + SLOW)
    with subprocess.Popen(
        command("resume", which), cwd=workspace, env=environ,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while not (workspace / "loads.txt").exists():
            time.sleep(0.005)  # noqa: TID251  # a process of its own takes its time
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        (workspace / "go.txt").touch()
        out, err = process.communicate()
    assert (process.returncode, out) == (130, ""), err
    assert "no run was gone on with: they are as they were" in err
    assert "internal error" not in err
    assert run_process(workspace, "resume", "one").returncode == 0


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("resume",), 1, "name a run, or give --all"),
        (("resume", "x", "--all"), 1, "name a run, or give --all"),
        (("resume", "nobody"), 1, "no run 'nobody'"),
        (("resume", "--all", "-q", "-v"), 1, "exclude each other"),
    ],
)
def test_what_cannot_be_resumed_is_one_clear_error(
    workspace: Path, argv: tuple[str, ...], code: int, words: str
) -> None:
    done = run_process(workspace, *argv)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "internal error" not in done.stderr


def test_a_run_that_refuses_changed_code_says_who_has_changed(workspace: Path) -> None:
    killed_run(workspace, "one", "--on-code-change", "refuse")
    agents = workspace / "agents" / "naps.py"
    agents.write_text(SLOW.replace("range(1, 6)", "range(1, 5)") + "\n# changed")
    refused = run_process(workspace, "resume", "one")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "has changed since it was last at work: agent naps; bring it back" in refused.stderr
    done = run_process(workspace, "resume", "one", "--on-code-change", "continue", "--json")
    assert json.loads(done.stdout)["output"] == {"text": "[1, 2, 3, 4]"}


def test_a_run_without_time_is_left_alone_until_it_gets_more(workspace: Path) -> None:
    killed_run(workspace, "one")
    with closing(sqlite3.connect(workspace / "journal.db")) as journal, journal:
        journal.execute("UPDATE journal SET at = at + 3600 WHERE seq > 1")
    refused = run_process(workspace, "resume", "--all")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "error: run one (naps): run one has used up its time" in refused.stderr
    wrong = run_process(workspace, "resume", "one", "--deadline", "never")
    assert (wrong.returncode, "'never' is no number" in wrong.stderr) == (1, True)
    options = ("--deadline", "60", "--budget-usd", "1")
    assert run_process(workspace, "resume", "one", *options).returncode == 0


def test_a_pinned_run_goes_on_with_the_code_that_it_began_with(workspace: Path) -> None:
    helper = workspace / "napkit.py"
    helper.write_text("def told(naps):\n    return f'then {naps}'\n")
    then = SLOW.replace("import time\n", "import time\nimport napkit\n").replace(
        '{"text": str(', '{"text": napkit.told('
    )
    agents, entry = workspace / "agents" / "naps.py", workspace / "catalog" / "agents" / "naps.yaml"
    agents.write_text(then)
    killed_run(workspace, "one", "--on-code-change", "pin")
    killed_run(workspace, "two")
    agents.write_text(then.replace("range(1, 6)", "range(1, 3)"))
    helper.write_text("def told(naps):\n    return 'now'\n")
    entry.write_text(ENTRY + "max_restarts: 3\n")
    left = run_process(workspace, "resume", "--all", "--json")
    assert left.returncode == 2
    assert [each["output"] for each in json.loads(left.stdout)] == [{"text": "now"}]
    assert "error: run one (naps): run one goes on with the code that it began with" in left.stderr
    done = run_process(workspace, "resume", "one", "--json")
    assert json.loads(done.stdout)["output"] == {"text": "then [1, 2, 3, 4, 5]"}, done.stderr
    assert agents.read_text() != then


def test_code_that_was_not_kept_cannot_be_gone_on_with(workspace: Path) -> None:
    killed_run(workspace, "one")
    refused = run_process(workspace, "resume", "one", "--on-code-change", "pin")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "run one has not kept its code: only a run that is started with" in refused.stderr
