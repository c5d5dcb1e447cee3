"""``fork`` from the command line, and the walk through replay, fork and diff in the README."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.cli_workspace import Cli, make_workspace
from tests.test_readme import ROOT, commands

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AGENT = """\
from runtime import Context, mag, skill


@skill(inline=True, side_effects=True)
def send(text: str) -> str:
    return text


@mag
async def sends(ctx: Context) -> str:
    said = await ctx.ask("One. Two.")
    return await ctx.use(send, said)
"""
ENTRY = "name: sends\nrole: mag\ndescription: Sends.\nentrypoint: agents/sends.py:sends\n"


@pytest.fixture
def make_cli(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], Cli]:
    """Return the command line in a folder, with a journal of its own."""

    def make(folder: Path) -> Cli:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("MAGSAG_DB", str(tmp_path / "journal.db"))
        return Cli(folder, capsys)

    return make


def test_the_walk_through_the_readme_does_what_it_says(make_cli: Callable[[Path], Cli]) -> None:
    cli = make_cli(ROOT)
    walk = [line for line in commands() if {"one", "two"} & set(shlex.split(line))]
    done = [cli(*shlex.split(line)[3:]) for line in walk]
    assert [code for code, _, _ in done] == [0, 0, 0, 0, 2]
    run, replay, steps, fork, diff = done
    assert replay[1].startswith("identical: run one completed, 5 steps")
    assert any(
        line.split()[:2] == ["10", "model"] and "echo/extract-1" in line
        for line in steps[1].splitlines()
    )
    assert "forked from one at step 10, asks echo-1; inherited 0 calls" in fork[2]
    assert "AGENTS.md" in run[1]
    told = diff[1].splitlines()
    assert told[0] == "they part here"
    assert told[1].startswith("  A  step 10, question to echo/extract-1 by")
    assert any(line.startswith("  B  step ") and "echo/echo-1" in line for line in told)


def test_a_fork_is_a_run_of_its_own_that_says_what_it_is_of(
    tmp_path: Path, make_cli: Callable[[Path], Cli]
) -> None:
    cli = make_cli(make_workspace(tmp_path))
    (tmp_path / "agents" / "sends.py").write_text(AGENT)
    (tmp_path / "catalog" / "agents" / "sends.yaml").write_text(ENTRY)
    assert cli("run", "sends", "--run-id", "source")[0] == 0
    steps = json.loads(cli("show", "source", "--steps", "--json")[1])["steps"]
    model, skill = (
        next(str(step["step"]) for step in steps if step["kind"] == kind)
        for kind in ("model", "skill")
    )
    code, out, err = cli("fork", "source", "--at", model)
    assert (code, out) == (1, "")
    assert "send; a fork may do that again; if it shall, fork with --repeat-side-effects" in err
    code, out, err = cli("fork", "source", "--at", "99")
    assert (code, out) == (1, "")
    assert "has no step '99'" in err
    code, out, _ = cli(
        "fork", "source", "--at", skill, "--run-id", "fork", "--repeat-side-effects", "--json"
    )
    assert code == 0
    told = json.loads(out)["forked_from"]
    assert (told["run_id"], told["step"]) == ("source", int(skill))
    assert told["inherited"]["calls"] == 1
    assert json.loads(out)["usage"]["calls"] == 0
    rows = {row["run_id"]: row for row in json.loads(cli("runs", "--json")[1])}
    assert rows["fork"]["forked_from"] == told
    assert rows["source"]["forked_from"] is None
    assert "fork      forked from source at step" in cli("show", "fork")[1]
    summary = json.loads(cli("flow", "summarize")[1])
    assert summary["runs"] == 2
    assert [each["calls"] for each in summary["models"]] == [1]
