"""A workspace for the guide's snippets, and the ways to run them there.

workspace = make_workspace(tmp_path)
write_agent(workspace, "guide-mag", block("2. Error Handling") + "def run(...): ...")
with vendors() as server:
    ran = await run(workspace, server)
assert ran.outcome.error is None
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from textwrap import indent
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from runtime import RunOptions, running
from tests.cli_workspace import ROOT, environment, run_process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from runtime import RunOutcome, System
    from runtime.journal import Record
    from tests.guide_vendors import Vendors

TEXT = {"text": "Orders were up by a third in May."}
SKILLS = ("analysis", "extraction", "document-analysis", "assistant", "pii-redaction")
SKILL = '''\
"""A skill that asks a model."""

from runtime import Context


async def ask(ctx: Context, text: str) -> dict:
    return {"answer": await ctx.ask(f"Say as JSON what this means. {text}")}
'''
HEADER = "from runtime import Delegation, RateLimitError\n\n"
ASKS = """
def run(payload, *, skills):
    return skills.invoke("skill.analysis", payload)
"""
DELEGATES = """
def run(payload, *, runner):
    context = payload.get("context", {})
    text = {"text": payload["text"]}
    return runner.invoke_sag(Delegation("t-1", "data-analysis-sag", text, context=context))
"""
ANALYST = {
    "role": "sag",
    "description": "Analyses a text.",
    "prompt": "Say what this means. {text}",
    "input": {"text": "str"},
    "output": {"summary": "str"},
}
PNPM = f"""\
#!/bin/sh
# The command line of this repository, called as that of the guide's own project.
[ "$1 $2 $3 $4" = "--filter @magsag/cli exec magsag" ] || exit 64
shift 4
exec {sys.executable} -m runtime "$@"
"""


# --- the workspace -------------------------------------------------------------------------------


def make_workspace(root: Path) -> Path:
    """Write a workspace by the shipped providers and routing, in which a failed call fails at once.

    It has the skills that the guide names, all of which ask a model, its SAG, which does, too, and
    two agents: ``asks-mag`` uses ``skill.analysis``, ``delegates-mag`` delegates to the SAG.
    """
    catalog = root / "catalog"
    for name in ("providers.yaml", "retirements.yaml"):
        _write(catalog / name, (ROOT / "catalog" / name).read_text())
    routing = yaml.safe_load((ROOT / "catalog" / "routing" / "default.yaml").read_text())
    routing["attempts"] = {"per_target": 1, "total": 1}
    _write_yaml(catalog / "routing" / "default.yaml", routing)
    _write(root / "agents" / "skills.py", SKILL)
    for name in SKILLS:
        entry = {"description": "Asks a model.", "entrypoint": "agents/skills.py:ask"}
        _write_yaml(catalog / "skills" / f"{name}.yaml", {"name": f"skill.{name}", **entry})
    _write_yaml(
        catalog / "agents" / "data-analysis-sag.yaml", {"name": "data-analysis-sag", **ANALYST}
    )
    write_agent(root, "asks-mag", ASKS)
    write_agent(root, "delegates-mag", DELEGATES)
    return root


def write_agent(root: Path, name: str, code: str, **fields: Any) -> None:
    """Write an agent with the classic contract: its code, which is the guide's, and its entry."""
    _write(root / "agents" / f"{name}.py", HEADER + code)
    entry = {"name": name, "role": "mag", "description": "An agent of the guide."}
    entry |= {"entrypoint": f"agents/{name}.py:run", "max_restarts": 0, **fields}
    _write_yaml(root / "catalog" / "agents" / f"{name}.yaml", entry)


def as_body(statements: str) -> str:
    """Return statements of the guide, which use ``payload`` and ``skills``, as a whole agent."""
    return f"def run(payload, *, skills):\n{indent(statements, '    ')}\n    return result\n"


def write_policy(root: Path, text: str) -> None:
    """Write the file that the guide names for policies."""
    _write(root / "catalog" / "policies" / "model_governance.yaml", text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_yaml(path: Path, data: Any) -> None:
    _write(path, yaml.safe_dump(data, sort_keys=False))


# --- runs ----------------------------------------------------------------------------------------


class Ran(NamedTuple):
    """What came of a run."""

    outcome: RunOutcome
    records: list[Record]

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What ``obs`` has put into the journal."""
        logs = [record.body for record in self.records if record.kind == "log"]
        return [(each["event"], each["fields"]) for each in logs]


async def run(
    workspace: Path,
    server: Vendors,
    target: str = "guide-mag",
    payload: Mapping[str, Any] | None = None,
    *,
    before: Callable[[System], None] = lambda system: None,
    **environ: str,
) -> Ran:
    """Run an agent in this process.

    Args:
        workspace: where it is.
        server: stands for all vendors.
        target: the agent.
        payload: its input; None for some text.
        before: is called with the system.
        environ: further variables.
    """
    records: list[Record] = []
    options = RunOptions(listener=records.append)
    async with running(workspace / "catalog", environ=server.environ | environ) as system:
        before(system)
        outcome = await system.run(target, dict(TEXT if payload is None else payload), options)
    return Ran(outcome, records)


def run_command(
    workspace: Path, target: str, *options: str, payload: Any = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run an agent by ``python -m runtime run``."""
    given = json.dumps(TEXT if payload is None else payload)
    return run_process(workspace, "run", target, "--input", given, *options, **environ)


def run_shell(workspace: Path, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the guide as it stands, in the workspace; it ends at the first failure."""
    commands = workspace / "commands"
    _write(commands / "pnpm", PNPM)
    (commands / "pnpm").chmod(0o755)
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],  # noqa: S607  # whichever bash there is
        cwd=workspace,
        env=environment(MAGSAG_DB=str(workspace / "journal.db"), **environ) | {"PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
