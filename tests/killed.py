"""The world of a run that is killed: what outlives its process, and what its servers have seen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from runtime.journal import EventRow, RunRow, SqliteJournal
from tests.chat_server import chat_server, completion
from tests.resumable import events_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.run import Durability

ROOT = Path(__file__).parents[1]
RUN = "resumed-run"
FLAKY = "what the server fails at first"
TOOL = "use the tool"
TOOL_CALL = {
    "id": "one",
    "type": "function",
    "function": {"name": "measure", "arguments": json.dumps({"text": "tool"})},
}
FAILED = (500, {"error": {"message": "a moment"}}, {"retry-after-ms": "1"})
REFUSED = (400, {"error": {"message": "no", "type": "model_not_found", "code": "model_not_found"}})


class World(NamedTuple):
    """What outlives the killed process."""

    forker: subprocess.Popen[str]
    folder: Path
    urls: tuple[str, str]
    asked: Counter[str]
    in_flight: Counter[str]

    def run(
        self,
        *,
        resume: bool = False,
        kill_at: int = 0,
        stall_at: int = 0,
        singly: bool = False,
        durability: Durability = "fast",
    ) -> dict[str, Any] | None:
        """Run or resume in a process of its own; None if it was killed."""
        wanted = {
            "db": str(self.folder / "journal.db"),
            "effects": str(self.folder / "effects"),
            "urls": self.urls,
            "run": RUN,
            "resume": resume,
            "kill_at": kill_at,
            "stall_at": stall_at,
            "singly": singly,
            "durability": durability,
        }
        stdin, stdout = self.forker.stdin, self.forker.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(wanted) + "\n")
        stdin.flush()
        outcome: dict[str, Any] | None = json.loads(stdout.readline())
        assert outcome is None or "crashed" not in outcome, outcome
        return outcome

    def journalled(self) -> tuple[RunRow, list[EventRow]]:
        async def read() -> tuple[RunRow, list[EventRow]]:
            journal = await SqliteJournal.open(self.folder / "journal.db")
            try:
                row = await journal.run(RUN)
                assert row is not None
                return row, await events_of(journal, RUN)
            finally:
                await journal.close()

        return anyio.run(read)

    def effects(self) -> Counter[str]:
        path = self.folder / "effects"
        return Counter(path.read_text().splitlines() if path.exists() else ())


@contextmanager
def forking() -> Iterator[subprocess.Popen[str]]:
    """Start the process that forks those that are killed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.resumable"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        yield process


@contextmanager
def world(forker: subprocess.Popen[str], folder: Path) -> Iterator[World]:
    """Serve the models of a run: one that refuses, and one that echoes and counts."""
    asked: Counter[str] = Counter()
    folder.mkdir(exist_ok=True)

    def answer(body: dict[str, Any]) -> Any:
        prompt = body["messages"][-1]["content"]
        asked[prompt] += 1
        if prompt == FLAKY and asked[prompt] == 1:
            return FAILED
        status, reply = completion(f"<{prompt[:40]}>")
        if prompt == TOOL:
            choice = reply["choices"][0]
            choice["message"]["tool_calls"] = [TOOL_CALL]
            choice["finish_reason"] = "tool_calls"
        return status, reply

    with chat_server(lambda _: REFUSED) as first, chat_server(answer) as second:
        yield World(forker, folder, (first.url, second.url), asked, Counter())


def prompts_of(events: list[EventRow]) -> dict[str, str]:
    """Return the prompts of model calls by their steps."""
    return {
        event.op: event.body["request"]["messages"][-1][1]
        for event in events
        if event.kind == "invocation_started"
    }


class Whole(NamedTuple):
    """What comes of a run that nothing disturbs."""

    outcome: dict[str, Any]
    events: list[EventRow]
    asked: Counter[str]
    effects: Counter[str]


def undisturbed(forker: subprocess.Popen[str], folder: Path) -> Whole:
    """Let a run come to its end."""
    with world(forker, folder) as one:
        outcome = one.run()
        assert outcome is not None
        return Whole(outcome, one.journalled()[1], Counter(one.asked), one.effects())
