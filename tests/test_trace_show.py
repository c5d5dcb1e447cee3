"""``trace show``: the waterfall of a run, from its journal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.cli.crowds import SHOWN
from runtime.cli.trace_lines import page_of
from runtime.cli.trace_span import walk
from runtime.cli.trace_tree import SpanTree
from runtime.cli.trace_waterfall import ASCII, BOXES, Times, draw
from runtime.journal import EventRow
from tests.cli_workspace import command, environment, make_workspace, run_process
from tests.test_cli_history import ROW

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runtime.cli.trace_span import JournalSpan
    from runtime.journal import RunRow

GPT = {"provider": "openai", "model": "gpt-4o"}
CLAUDE = {"provider": "anthropic", "model": "claude-haiku-4-5"}
ASKED = {"request": {"messages": [["user", "hello"]]}}
USED = {"usage": {"input_tokens": 27, "output_tokens": 37}}
DONE = replace(ROW, status="completed", ended_at=10.0)


class History:
    """The events of one run, a second apart."""

    def __init__(self) -> None:
        self.events: list[EventRow] = []

    def add(self, kind: str, op: str, body: Mapping[str, Any] = {}, cost: int = 0) -> History:
        at = float(len(self.events))
        self.events.append(EventRow(len(self.events) + 1, at, kind, op, dict(body), cost))
        return self

    def root(self, row: RunRow = DONE) -> JournalSpan:
        tree = SpanTree(row)
        for event in self.events:
            tree.take(event)
        return tree.close()


def agent(history: History, op: str = "boss:1") -> History:
    return history.add("delegation_sent", op, {"agent": "boss"}).add("delegation_started", op)


def page(root: JournalSpan, width: int = 100, **how: Any) -> str:
    lines = page_of(root, **how).lines
    drawn = draw(lines, Times(root.began_at, root.ended_at or 10.0), width, BOXES)
    return "\n".join("".join(text for text, _ in pieces) for pieces in drawn)


def test_spans_are_nested_by_who_delegated_and_tell_attempts_fallbacks_and_denials() -> None:
    history = agent(History())
    history.add("delegation_started", "boss:1", {"attempt": 2})
    history.add("invocation_denied", "boss:1/denied:1", GPT | {"error": "no", "reason": "denied"})
    history.add("invocation_started", "boss:1/chat:1", GPT | ASKED)
    history.add("invocation_retried", "boss:1/chat:1")
    failed = {"error": "slow down", "reason": "rate_limit", "error_class": "RateLimitError"}
    history.add("invocation_failed", "boss:1/chat:1", failed | {"attempts": 3})
    history.add("invocation_started", "boss:1/chat:2", CLAUDE | ASKED)
    history.add("invocation_completed", "boss:1/chat:2", USED | {"model": "claude-x"}, 214_000)
    history.add("skill_started", "boss:1/search:1", {"skill": "search"})
    history.add("skill_failed", "boss:1/search:1", {"error": "bang", "reason": "crashed"})
    history.add("log", "boss:1", {"event": "tool_denied", "fields": {"tool": "rm", "policy": "p"}})
    history.add("invocation_cached", "boss:1/cached:1", GPT)
    history.add("delegation_completed", "boss:1")
    (boss,) = history.root().below
    assert [(span.title, span.status) for span in boss.below] == [
        ("chat gpt-4o", "denied"),
        ("chat gpt-4o", "failed"),
        ("chat claude-haiku-4-5", "completed"),
        ("execute_tool search", "failed"),
        ("execute_tool rm", "denied"),
        ("chat gpt-4o", "cached"),
    ]
    assert (boss.status, boss.attempts, boss.started_at) == ("completed", 2, 1.0)
    assert (boss.below[1].attempts, boss.below[1].instead_of) == (3, None)
    assert (boss.below[2].instead_of, boss.below[2].served_model) == ("openai/gpt-4o", "claude-x")
    shown = page(history.root(), 160)
    assert "failed: RateLimitError, 3 attempts" in shown
    assert "27+37 tokens  $0.000214  fallback" in shown
    assert "failed: crashed" in shown


def test_the_same_question_later_is_no_fallback_once_somebody_has_answered_it() -> None:
    history = agent(History())
    for op, target, end in (
        ("1", GPT, "failed"),
        ("2", CLAUDE, "completed"),
        ("3", CLAUDE, "completed"),
    ):
        history.add("invocation_started", f"boss:1/chat:{op}", target | ASKED)
        history.add(f"invocation_{end}", f"boss:1/chat:{op}")
    (boss,) = history.root().below
    assert [span.instead_of for span in boss.below] == [None, "openai/gpt-4o", None]


def test_what_runs_is_told_and_of_a_dead_process_it_is_lost() -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    history = agent(History()).add("invocation_started", "boss:1/chat:1", GPT)
    history.add("delegation_sent", "boss:1/leaf:1", {"agent": "leaf"})
    running = history.root(ROW)
    assert [span.status for span, _, _ in walk(running)] == [
        *("running", "running", "running", "queued")
    ]
    assert "█>│" in page(running)
    lost = history.root(replace(ROW, pid=dead.pid))
    assert {span.status for span, _, _ in walk(lost)} == {"lost"}
    assert "█?│  -  lost" in page(lost)


def test_what_has_no_outcome_when_its_run_is_over_is_lost() -> None:
    root = agent(History()).root(replace(DONE, status="cancelled", reason="cancelled"))
    assert (root.status, root.below[0].status) == ("cancelled", "lost")


def crowd(count: int) -> History:
    """A fan-out whose every hundredth leaf fails; a chat costs a thousand nano-dollars."""
    history = agent(History())
    for number in range(count):
        op = f"boss:1/leaf:{number}"
        history.add("delegation_sent", op, {"agent": "leaf"}).add("delegation_started", op)
        history.add("invocation_started", f"{op}/chat:1", GPT)
        history.add("invocation_completed", f"{op}/chat:1", USED, 1_000)
        history.add("delegation_failed" if number % 100 == 50 else "delegation_completed", op)
    return history.add("delegation_completed", "boss:1")


def test_a_fan_out_of_ten_thousand_is_a_page_with_the_failed_ones_and_the_whole_bill() -> None:
    root = crowd(10_000).root()
    shown = page_of(root)
    assert len(shown.lines) == 2 + 2 * SHOWN + 1
    failed = [line for line in shown.lines if line.status == "failed"]
    assert [line.title for line in failed] == ["invoke_agent leaf"] * SHOWN
    assert shown.lines[-1].title == "9,990 more invoke_agent leaf"
    assert sum(line.cost_nano_usd or 0 for line in shown.lines) == 10_000 * 1_000
    assert (shown.spans, shown.hidden) == (20_002, 20_002 - 2 - 2 * SHOWN)


@pytest.mark.parametrize("limit", [1, 2, 5, 13, 30, 400])
def test_no_more_lines_are_drawn_than_wanted_and_the_rest_is_counted(limit: int) -> None:
    shown = page_of(crowd(50).root(), limit=limit)
    assert 1 <= len(shown.lines) <= limit
    own = sum(line.status != "crowd" for line in shown.lines)
    assert own + shown.hidden == shown.spans == 102
    assert page_of(crowd(50).root(), limit=1).lines[0].words == ["+101 spans"]


def test_deeper_levels_are_left_out_and_counted() -> None:
    shown = page_of(crowd(3).root(), depth=2)
    assert [line.title for line in shown.lines[2:]] == ["invoke_agent leaf"] * 3
    assert [line.words for line in shown.lines[2:]] == [["+1 span"]] * 3


@given(st.integers(60, 300), st.integers(0, 40), st.sampled_from([BOXES, ASCII]))
def test_every_line_fits_its_width(width: int, leaves: int, glyphs: Any) -> None:
    root = crowd(leaves).root()
    drawn = draw(page_of(root).lines, Times(0.0, 1e-9), width, glyphs)
    drawn += draw(page_of(root).lines, Times(0.0, 0.0), width, glyphs)
    texts = ["".join(text for text, _ in pieces) for pieces in drawn]
    assert all(len(text) <= width for text in texts)
    assert glyphs is BOXES or all(text.isascii() for text in texts)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_workspace(tmp_path_factory.mktemp("traces"))
    run_process(folder, "run", "tree", "--run-id", "tree-1", "--input", '{"leaves": 5}')
    run_process(folder, "run", "asks", "--run-id", "asks-1")
    return folder


def test_a_pipe_gets_a_hundred_columns_without_colours(workspace: Path) -> None:
    ended = run_process(workspace, "trace", "show", "tree", COLUMNS="300", PYTHONIOENCODING="utf-8")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("run tree-1 (trace ")
    assert [line.split("│ ")[0].strip("│├└─ █░") for line in lines[2:]] == [
        *("invoke_workflow tree", "invoke_agent tree", *["invoke_agent leaf"] * 5)
    ]
    assert "failed: crashed, 2 attempts" in ended.stdout
    assert max(map(len, lines[1:])) <= 100
    assert "\x1b" not in ended.stdout


def test_without_box_characters_it_is_ascii(workspace: Path) -> None:
    ended = run_process(workspace, "trace", "show", "asks-1", PYTHONIOENCODING="ascii")
    assert ended.returncode == 0
    assert "   `- chat extract-1  |" in ended.stdout
    assert ended.stdout.isascii()
    assert "\\x" not in ended.stdout


def test_the_data_is_that_of_show(workspace: Path) -> None:
    spans = json.loads(run_process(workspace, "trace", "show", "last", "--json").stdout)
    told = json.loads(run_process(workspace, "show", "last", "--json").stdout)
    assert [span["operation"] for span in spans] == ["invoke_workflow", "invoke_agent", "chat"]
    assert [span["parent"] for span in spans] == [None, "", spans[1]["span"]]
    (chat,) = (span for span in spans if span["operation"] == "chat")
    assert chat["input_tokens"] == told["usage"]["input_tokens"]
    assert chat["cost_usd"] == told["cost_usd"]
    assert spans[0]["duration_s"] == pytest.approx(told["duration_s"], abs=0.001)
    less = run_process(workspace, "trace", "show", "last", "--json", "--limit", "2")
    assert len(json.loads(less.stdout)) == 2
    assert "1 span not printed" in less.stderr


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("nobody",), "no run 'nobody'"),
        (("tree-1", "--limit", "0"), "--limit"),
        (("tree-1", "--depth", "x"), "--depth"),
        ((), "RUN_ID"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    workspace: Path, argv: tuple[str, ...], words: str
) -> None:
    ended = run_process(workspace, "trace", "show", *argv)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    assert words in line


def test_a_terminal_gets_colours_and_its_own_width(workspace: Path) -> None:
    terminal, stdout = pty.openpty()
    environ = environment(MAGSAG_DB=str(workspace / "journal.db"), TERM="xterm", COLUMNS="140")
    process = subprocess.Popen(
        command("trace", "show", "tree-1"), cwd=workspace, env=environ, stdout=stdout
    )
    os.close(stdout)
    written = bytearray()
    try:
        while data := os.read(terminal, 65_536):
            written += data
    except OSError:  # Linux says so when the last writer has gone
        pass
    finally:
        os.close(terminal)
    assert process.wait(30) == 0
    text = written.decode()
    assert "\x1b[31m" in text, "what failed is red"
    assert "█" * 60 in text
