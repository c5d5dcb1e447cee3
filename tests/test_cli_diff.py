"""``diff`` from the command line: a page of bounded length, JSON with all, and an exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli_workspace import Cli, make_workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return the command line where three runs are over, of which two are alike."""
    monkeypatch.chdir(make_workspace(tmp_path))
    monkeypatch.setenv("MAGSAG_DB", str(tmp_path / "journal.db"))
    cli = Cli(tmp_path, capsys)
    for name, leaves in (("one", 2), ("two", 2), ("many", 60)):
        given = json.dumps({"leaves": leaves})
        assert cli("run", "tree", "--run-id", name, "--input", given)[0] == 0
    return cli


def test_equal_runs_exit_with_0_and_different_ones_with_2(cli: Cli) -> None:
    code, out, _ = cli("diff", "one", "two")
    assert code == 0
    assert out.startswith("equal: 3 steps\n")
    code, out, _ = cli("diff", "one", "many")
    assert code == 2
    assert out.startswith("they part here\n  A  no step there\n  B  step ")
    assert "only in B: 58 steps" in out
    assert "... and 38 more; --limit 58 shows all" in out
    assert "same question, different answer: 1 step" in out


def test_json_has_every_step_and_the_totals(cli: Cli) -> None:
    code, out, _ = cli("diff", "many", "one", "--json")
    shown = json.loads(out)
    assert code == 2
    assert len(shown["only_a"]) == 58
    assert shown["first"]["b"] is None
    assert shown["totals"]["difference"]["steps"] == -58
    assert (shown["a"]["run_id"], shown["b"]["run_id"]) == ("many", "one")


def test_a_run_that_is_not_there_exits_with_1(cli: Cli) -> None:
    code, out, err = cli("diff", "one", "nobody")
    assert (code, out) == (1, "")
    assert "no run 'nobody'" in err
