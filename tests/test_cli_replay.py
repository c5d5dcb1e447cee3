"""``replay`` from the command line: beside the journal, without a network, with an exit code."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli_workspace import Cli, command, environment, make_workspace, run_process

if TYPE_CHECKING:
    from pathlib import Path

ALONE = ("unshare", "--map-root-user", "--net")  # a network of its own, without any way out


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return the command line where one run is over."""
    monkeypatch.chdir(make_workspace(tmp_path))
    monkeypatch.setenv("MAGSAG_DB", str(tmp_path / "journal.db"))
    cli = Cli(tmp_path, capsys)
    assert cli("run", "asks", "--run-id", "asked")[0] == 0
    return cli


def without_network() -> tuple[str, ...]:
    """Return what to begin a command line with, for a process without a network where we may."""
    tool = shutil.which(ALONE[0])
    may = (
        tool and subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode == 0
    )
    return ALONE if may else ()


def test_it_says_identical_without_a_network_and_leaves_the_journal_as_it_is(cli: Cli) -> None:
    journal, state = cli.workspace / "journal.db", cli.workspace / "state"
    before = hashlib.sha256(journal.read_bytes()).digest()
    environ = environment(
        MAGSAG_DB=str(journal),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9/",
        XDG_STATE_HOME=str(state),
    )
    done = subprocess.run(
        [*without_network(), *command("replay", "last")],
        cwd=cli.workspace, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "identical: run asked completed, 2 steps\n"
    assert done.returncode == 0
    assert hashlib.sha256(journal.read_bytes()).digest() == before
    assert not state.exists()  # not a span is kept


def test_changed_code_is_told_at_the_step_and_exits_with_2(cli: Cli) -> None:
    agents = cli.workspace / "agents" / "some.py"
    agents.write_text(agents.read_text().replace("One. Two.", "One. Two. Three."))
    done = run_process(cli.workspace, "replay", "asked")  # this process has imported the agent
    assert done.returncode == 2
    assert "the code asks for something else" in done.stdout
    assert "Three." in done.stdout
    told = json.loads(run_process(cli.workspace, "replay", "asked", "--json").stdout)["difference"]
    steps = json.loads(cli("show", "asked", "--steps", "--json")[1])["steps"]
    asked = next(step for step in steps if step["kind"] == "model")
    assert told["step"] == asked["step"]
    assert told["expected"]["data"] == asked["asked"]


def test_what_cannot_be_replayed_is_a_clear_error(cli: Cli) -> None:
    code, out, err = cli("replay", "nobody")
    assert (code, out) == (1, "")
    assert "no run 'nobody'" in err
    (cli.workspace / "catalog" / "agents" / "asks.yaml").unlink()
    code, out, err = cli("replay", "asked")
    assert (code, out) == (1, "")
    assert "asks" in err


def test_steps_are_listed_with_the_numbers_that_others_speak_of(cli: Cli) -> None:
    lines = [line.split() for line in cli("show", "asked", "--steps")[1].splitlines()]
    assert ["STEP", "KIND", "AGENT", "WHAT", "STATUS", "TOKENS", "COST"] in lines
    (asked,) = (line for line in lines if "echo/extract-1" in line)
    assert asked[1:5] == ["model", "asks", "echo/extract-1", "completed"]
