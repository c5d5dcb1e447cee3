"""Clusters of real processes: ``python -m runtime up`` in a workspace whose agents ask a model."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.chat_server import chat_server, completion
from tests.cli_workspace import command, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 60.0
AGENTS = '''\
"""Agents that ask a model again and again."""

from runtime import Context, mag, sag


@sag
async def leaf(ctx: Context, name: str) -> int:
    return len([await ctx.ask(f"{name} step {step}") for step in range(3)])


@mag
async def chief(ctx: Context, name: str) -> int:
    await ctx.ask(f"{name} plan")
    found = await ctx.fan_out(leaf, [f"{name} leaf {number}" for number in range(3)])
    await ctx.ask(f"{name} sum")
    return sum(each.unwrap() for each in found)
'''
PROVIDERS = """\
providers:
  home:
    dialect: openai_chat
    base_url: {url}
    any_model: true
"""
ROUTING = """\
name: default
provider: home
default: fast
tiers:
  fast: {home: m-2026}
"""


def make_cluster_workspace(root: Path, url: str) -> Path:
    """Write the workspace, whose model is at an address, and return its folder."""
    files = {
        "agents/asking.py": AGENTS,
        "catalog/providers.yaml": PROVIDERS.format(url=url),
        "catalog/routing/default.yaml": ROUTING,
    }
    for name, role in {"chief": "mag", "leaf": "sag"}.items():
        files[f"catalog/agents/{name}.yaml"] = (
            f"name: {name}\nrole: {role}\ndescription: The agent {name}.\n"
            f"entrypoint: agents/asking.py:{name}\n"
        )
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


class Model:
    """A model that answers when the test lets it.

    Attributes:
        url: where it is.
        asked: how often each question came.
        held: whose answers wait, by the last word of the question, until ``let_go``.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.held: dict[str, threading.Event] = {}
        self._came = threading.Condition()

    def hold(self, *words: str) -> None:
        """Keep the answers to questions that end with these words."""
        self.held |= {word: threading.Event() for word in words}

    def let_go(self) -> None:
        """Answer all that waits, and all that comes."""
        for held in self.held.values():
            held.set()

    def answer(self, body: dict[str, Any]) -> Any:
        question = str(body["messages"][-1]["content"])
        with self._came:
            self.asked[question] += 1
            self._came.notify_all()
        held = self.held.get(question.rpartition(" ")[2])
        if held is not None:
            held.wait(PATIENCE_S)
        return completion("yes")

    def wait_for(self, *questions: str) -> None:
        """Wait until each of these was asked."""
        with self._came:
            there = self._came.wait_for(lambda: self.asked.keys() >= {*questions}, PATIENCE_S)
        assert there, f"never asked: {({*questions}) - self.asked.keys()}"


@contextmanager
def model() -> Iterator[Model]:
    """Serve a model until the block ends."""
    served = Model()
    with chat_server(served.answer) as server:
        served.url = server.url
        try:
            yield served
        finally:
            served.let_go()


class UpProcess:
    """A node that ``up`` runs.

    Attributes:
        id: what it is called in the cluster.
        lines: what it has said so far.
    """

    def __init__(self, workspace: Path, *arguments: str, **environ: str) -> None:
        self.lines: list[str] = []
        self._said: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            command("up", *arguments),
            cwd=workspace,
            env=environment(**environ),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.id = self.hears("node ").split()[1]
        self.hears("a run: ")

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as said:
            for line in said:
                self._said.put(line)
        self._said.put(None)

    def hears(self, beginning: str) -> str:
        """Wait for a line that begins so, and return it."""
        while True:
            line = self._said.get(timeout=PATIENCE_S)
            assert line is not None, f"it has ended: {''.join(self.lines)}"
            self.lines.append(line)
            if line.startswith(beginning):
                return line

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait until it has ended, and return its exit code."""
        code = self.process.wait(PATIENCE_S)
        while (line := self._said.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
        return code

    def said(self) -> str:
        """Return what it has said until it ended."""
        return "".join(self.lines)

    def remove(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self._reader.join()


@contextmanager
def up(workspace: Path, *arguments: str, **environ: str) -> Iterator[UpProcess]:
    """Run a node until the block ends."""
    node = UpProcess(workspace, *arguments, **environ)
    try:
        yield node
    finally:
        node.remove()


def started(workspace: Path, *argv: str, **environ: str) -> subprocess.Popen[str]:
    """Start a command, and do not wait for it."""
    return subprocess.Popen(
        command(*argv),
        cwd=workspace,
        env=environment(**environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result_of(process: subprocess.Popen[str]) -> Any:
    """Wait for a command that prints JSON, and return that."""
    out, said = process.communicate(timeout=PATIENCE_S * 2)
    assert process.returncode == 0, said
    return json.loads(out)
