"""A process whose log nobody reads goes on, ends, and gives its result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli_workspace import ROOT, command, environment, make_workspace

if TYPE_CHECKING:
    from pathlib import Path

SPEAKING = '''\
"""An agent that logs far more than a pipe holds, and looks whether the event loop turned."""

import asyncio
import logging

from runtime import Context, mag, sag

log = logging.getLogger("author")


@sag
async def speaks(ctx: Context, number: int) -> int:
    for _ in range(20):
        log.warning("a line of many: %s", "x" * 200)
        await asyncio.sleep(0)
    return number


@mag
async def talks(ctx: Context) -> int:
    results = await ctx.fan_out(speaks, range(50))
    return sum(result.ok for result in results)
'''


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = make_workspace(tmp_path)
    (root / "agents" / "speaking.py").write_text(SPEAKING)
    for name, role in (("talks", "mag"), ("speaks", "sag")):
        (root / "catalog" / "agents" / f"{name}.yaml").write_text(
            f"name: {name}\nrole: {role}\ndescription: It speaks.\n"
            f"entrypoint: agents/speaking.py:{name}\n"
        )
    return root


def test_a_run_ends_with_its_result_though_nobody_reads_its_log(workspace: Path) -> None:
    reader, stderr = os.pipe()
    try:
        ended = subprocess.run(  # our own interpreter
            command("run", "talks"),
            cwd=workspace,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            timeout=60,
            check=False,
        )
        os.set_blocking(reader, False)
        got = os.read(reader, 1_000_000)
    finally:
        os.close(stderr)
        os.close(reader)
    assert (ended.returncode, ended.stdout) == (0, b"50\n")
    assert 0 < got.count(b"a line of many") < 1_000, "the pipe was full: somebody would have waited"


IDLE = """
import asyncio, logging, os, sys
from otel import configure_logging

configure_logging(json=True)
log = logging.getLogger("author")


async def main():
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    for number in range(2_000):  # several times what the pipe holds
        log.warning("line %d %s", number, "x" * 100)
        await asyncio.sleep(0)
    turning.cancel()
    return turns


print(asyncio.run(main()), flush=True)
"""


def test_the_event_loop_turns_for_each_line_though_the_pipe_is_full() -> None:
    reader, stderr = os.pipe()
    try:
        ended = _run(IDLE, stderr)
    finally:
        os.close(stderr)
        os.close(reader)
    assert ended.returncode == 0
    assert int(ended.stdout) >= 2_000


EXIT = """
import logging, sys
from otel import configure_logging

configure_logging(json=True)
for number in range(500):
    logging.getLogger("author").warning("line %d", number)
{ending}
"""


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "raise SystemExit"])
def test_what_was_logged_is_written_before_the_process_ends(tmp_path: Path, ending: str) -> None:
    with (tmp_path / "log").open("w") as stderr:
        ended = _run(EXIT.format(ending=ending), stderr.fileno())
    assert ended.returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["event"] for line in lines] == [f"line {number}" for number in range(500)]


def test_a_run_logs_to_a_file_too(workspace: Path) -> None:
    file = workspace / "log.jsonl"
    ended = subprocess.run(  # our own interpreter
        command("run", "tree", "--input", '{"leaves": 5}'),
        cwd=workspace,
        env=environment(MAGSAG_LOG_FILE=str(file)),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    (crash, *_) = (line for line in lines if line["event"] == "supervisor: child terminated")
    assert (crash["agent"], crash["level"]) == ("leaf", "warning")
    assert crash["exception"].startswith("Traceback"), "whoever reads a file cannot ask again"


def test_a_log_file_that_cannot_be_opened_is_a_mistake_that_says_so(workspace: Path) -> None:
    ended = subprocess.run(  # our own interpreter
        command("run", "tree"),
        cwd=workspace,
        env=environment(MAGSAG_LOG_FILE=str(workspace / "no" / "such" / "folder")),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "MAGSAG_LOG_FILE" in ended.stderr
    assert "No such file" in ended.stderr


def _run(source: str, stderr: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # our own interpreter
        [sys.executable, "-c", source],
        env=environment(PYTHONPATH=str(ROOT)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        timeout=60,
        check=False,
    )
