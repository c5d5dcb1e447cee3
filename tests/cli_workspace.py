"""A workspace with small agents, and the command line in a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from otel.logs import remove_handlers
from runtime.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

ROOT = Path(__file__).resolve().parents[1]
AGENTS = '''\
"""Agents for the tests of the command line."""

import time

import anyio
from pydantic import BaseModel

from runtime import BlockingContext, Context, mag, sag

print("an import that prints")


class Report(BaseModel):
    report: str
    count: int


@sag
async def leaf(ctx: Context, number: int) -> int:
    if number == 3:
        raise ValueError("no threes\\n\\x1b[31m please")
    return number


@mag
async def tree(ctx: Context, leaves: int = 2) -> dict:
    print("a body that prints")
    results = await ctx.fan_out(leaf, range(leaves))
    return {"ok": sum(result.ok for result in results)}


@mag
async def required(ctx: Context, role: str) -> str:
    print("required ran")
    return role


@mag
async def says(ctx: Context, text: str) -> str:
    return text


@mag
async def reports(ctx: Context) -> Report:
    return Report(report="# All is well", count=1)


@mag
async def asks(ctx: Context) -> str:
    return await ctx.ask("One. Two.")


@mag
async def crashes(ctx: Context) -> str:
    raise ValueError("bang")


@mag
async def late(ctx: Context) -> str:
    await anyio.sleep(3600)
    return "never"


@mag
async def sleeps(ctx: Context) -> str:
    print("the body began", flush=True)
    await anyio.sleep(3600)
    return "never"


@mag
def blocks(ctx: BlockingContext) -> str:
    print("the body began", flush=True)
    time.sleep(3600)
    return "never"


@mag
async def hogs(ctx: Context) -> str:
    print("the body began", flush=True)
    time.sleep(3600)
    return "never"


@mag
async def writes_much(ctx: Context) -> list:
    return ["x" * 100] * 10_000
'''
NAMES = (
    *("tree", "required", "says", "reports", "asks", "crashes", "late"),
    *("sleeps", "blocks", "hogs", "writes-much"),
)
PROVIDERS = """\
providers:
  echo:
    dialect: echo
    models: {echo-1: {}, extract-1: {}}
  openai:
    dialect: openai_chat
    base_url: https://api.openai.com/v1
    api_key_env: [OPENAI_API_KEY]
    api_key_required: true
    models: {gpt-4o: {}}
"""
ROUTING = """\
name: default
provider: echo
default: fast
tiers:
  fast: {echo: extract-1, openai: gpt-4o}
"""
WORKFLOW = """\
name: two-leaves
description: A tree with two leaves.
agent: tree
input: {leaves: 2}
"""
POLICY = """\
policies:
  - name: only_gpt
    allowed_models: [gpt-4o]
"""


def make_workspace(root: Path) -> Path:
    """Write the workspace and return its folder."""
    _write(root / "agents" / "some.py", AGENTS)
    _write(root / "catalog" / "providers.yaml", PROVIDERS)
    _write(root / "catalog" / "routing" / "default.yaml", ROUTING)
    _write(root / "catalog" / "workflows" / "two-leaves.yaml", WORKFLOW)
    for name in (*NAMES, "leaf"):
        role = "sag" if name == "leaf" else "mag"
        entry = f"name: {name}\nrole: {role}\ndescription: The agent {name}.\n"
        entry += f"entrypoint: agents/some.py:{name.replace('-', '_')}\n"
        _write(root / "catalog" / "agents" / f"{name}.yaml", entry)
    return root


def forbid_echo(root: Path) -> None:
    """Add a policy that no model of the echo provider satisfies."""
    _write(root / "catalog" / "policies" / "only.yaml", POLICY)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def environment(**more: str) -> dict[str, str]:
    """Return a clean environment for a process."""
    kept = ("PATH", "HOME", "TMPDIR", "LANG", "COVERAGE_PROCESS_START")
    base = {name: os.environ[name] for name in kept if name in os.environ}
    return {**base, "PYTHONPATH": str(ROOT), "MAGSAG_DB": ":memory:", **more}


def command(*argv: str) -> list[str]:
    """Return the command line of a process."""
    return [sys.executable, "-m", "runtime", *argv]


def run_process(
    workspace: Path, *argv: str, stdin: str | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with its journal in the workspace."""
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run(  # our own interpreter
        command(*argv),
        cwd=workspace,
        env=environment(**{"MAGSAG_DB": str(workspace / "journal.db"), **environ}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **given,
    )


class Cli:
    """The command line in this process.

    Attributes:
        workspace: the current directory.
    """

    def __init__(self, workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.workspace = workspace
        self._capsys = capsys

    def __call__(self, *argv: str) -> tuple[int, str, str]:
        """Return the exit code, and what went to stdout and to stderr."""
        self._capsys.readouterr()
        with _process_as_it_was():
            code = main(argv)
        out, err = self._capsys.readouterr()
        return code, out, err


@contextmanager
def _process_as_it_was() -> Iterator[None]:
    """Undo what a command sets up for the process that it usually has for itself."""
    root, path = logging.getLogger(), [*sys.path]
    level = root.level
    yield
    sys.path[:] = path
    root.setLevel(level)
    remove_handlers()
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    structlog.reset_defaults()
