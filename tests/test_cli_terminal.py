"""The live tree on a real terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli_workspace import command, environment, make_workspace

if TYPE_CHECKING:
    from pathlib import Path


def on_a_terminal(workspace: Path, *argv: str) -> tuple[int, str, str]:
    """Return the exit code, stdout (a pipe), and what the terminal behind stderr has got."""
    terminal, stderr = pty.openpty()
    process = subprocess.Popen(  # our own interpreter
        command(*argv),
        cwd=workspace,
        env=environment(MAGSAG_DB=":memory:", TERM="xterm", COLUMNS="100", NO_COLOR="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )
    os.close(stderr)
    written = bytearray()
    try:
        while data := os.read(terminal, 65_536):
            written += data
    except OSError:  # Linux says so when the last writer has gone
        pass
    finally:
        os.close(terminal)
    out, _ = process.communicate(timeout=30)
    return process.returncode, out.decode(), written.decode()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path)


def test_a_terminal_shows_the_tree_and_log_lines_above_it(workspace: Path) -> None:
    argv = ("run", "tree", "--input", '{"leaves": 5}')
    code, out, screen = on_a_terminal(workspace, *argv)
    assert code == 0
    assert out == '{\n  "ok": 4\n}\n'
    assert "tree done" in screen
    assert "leaf \N{MULTIPLICATION SIGN} 5: 4 done, 1 failed, restarted" in screen
    assert "a body that prints" in screen
    assert "child terminated" in screen
    assert screen.index("\x1b[?25l") < screen.rindex("\x1b[?25h"), "the cursor comes back"
    assert "completed: 0 calls" in screen.split("\x1b[?25h")[-1]


def test_quiet_draws_nothing(workspace: Path) -> None:
    code, out, screen = on_a_terminal(workspace, "run", "tree", "--quiet")
    assert (code, out) == (0, '{\n  "ok": 2\n}\n')
    assert "tree done" not in screen
    assert "\x1b[?25l" not in screen


def test_a_catalog_that_is_wrong_leaves_a_plain_line(workspace: Path) -> None:
    code, out, screen = on_a_terminal(workspace, "run", "tre")
    assert (code, out) == (1, "")
    assert "error: no workflow or agent 'tre'" in screen
