"""A run that can be killed anywhere: the process that the tests of resuming kill and start again.

``python -m tests.resumable`` has imported everything and reads a line of JSON for each process that
it forks: ``db``, ``effects`` (a file), ``urls`` (of the two servers), ``run`` (its id), ``resume``
(whether to go on), ``kill_at`` (the record after whose commit the process kills itself; 0 for
never), ``stall_at`` (the record from which on nothing is committed any more, a moment before the
process kills itself; 0 for never), ``singly`` (whether each record is a commit of its own),
``durability``. It answers with a line: the outcome, ``{"refused": ...}``, or null where it was
killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from runtime import Context, ResumeOptions, RunOptions, mag, running, sag, skill
from runtime.errors import RuntimeFault
from runtime.journal import Record, SqliteJournal
from runtime.journal.lock import FileLock
from tests.echoes import at, catalog_of, price

if TYPE_CHECKING:
    from runtime.journal import Claim, EventRow, Journal, Shortfall

PAGE = 1_000
STALLED_S = 0.1
EFFECTS: list[str] = []


@skill(inline=True)
def measure(text: str) -> int:
    """Measure a text, and leave a trace of it."""
    with Path(EFFECTS[0]).open("a", encoding="utf-8") as file:
        file.write(f"measure {text}\n")
    return len(text)


@skill(inline=True)
def breaks(text: str) -> int:
    """Always break."""
    raise ValueError(f"cannot take {text}")


@sag
async def leaf(ctx: Context, number: int) -> str:
    """Ask once."""
    return await ctx.ask(f"leaf {number}")


@sag
async def worker(ctx: Context, number: int) -> str:
    """Use a skill, ask, delegate, ask again."""
    size = await ctx.use(measure, f"text {number}")
    first = await ctx.ask(f"worker {number} of size {size}")
    inner = (await ctx.delegate(leaf, number)).unwrap()
    return await ctx.ask(f"worker {number} sums up {first} and {inner}")


@mag
async def chief(ctx: Context) -> dict[str, Any]:
    """Fan out, fall back, try again, let a model use tools, stream, and put it together."""
    ctx.log("begun", by="chief")
    results = await ctx.fan_out(worker, [1, 2, 3])
    fallen = await ctx.ask("whom the first server refuses", model="first/m")
    try:
        await ctx.use(breaks, "this")
        broken = ""
    except ValueError as error:
        broken = str(error)
    flaky = await ctx.ask("what the server fails at first")
    tooled = await ctx.ask("use the tool", tools=[measure])
    pieces = [event.text async for event in ctx.stream("tell a story")]
    same = [await ctx.ask("the same twice"), await ctx.ask("the same twice")]
    ctx.log("done", by="chief")
    return {
        "workers": [result.unwrap() for result in results],
        "fallen": fallen,
        "broken": broken,
        "flaky": flaky,
        "tooled": tooled,
        "story": "".join(pieces),
        "same": same,
    }


async def events_of(journal: Journal, run_id: str) -> list[EventRow]:
    """Return all records of a run."""
    found: list[EventRow] = []
    while page := await journal.events(run_id, after=len(found), limit=PAGE):
        found += page
    return found


class Killing:
    """A journal that ends the process once so many records are committed, or cannot be."""

    def __init__(self, journal: SqliteJournal, wanted: dict[str, Any]) -> None:
        self._journal = journal
        self._count = 0
        self._kill_at = wanted["kill_at"]
        self._stall_at = wanted["stall_at"]
        self._singly = wanted["singly"]
        self._lock = FileLock(Path(f"{wanted['db']}-lock"))

    def append(self, record: Record) -> None:
        """Take a record, and die if it is its turn."""
        self._before()
        self._journal.append(record)
        self._after()

    async def admit(self, record: Record, claims: tuple[Claim, ...]) -> Shortfall | None:
        """Take the beginning of a call, and die if it is its turn."""
        self._before()
        short = await self._journal.admit(record, claims)
        self._after()
        return short

    def _before(self) -> None:
        self._count += 1
        if self._count == self._stall_at:
            self._wait_for_the_writer()
            self._lock.__enter__()
            threading.Timer(STALLED_S, os.kill, (os.getpid(), signal.SIGKILL)).start()

    def _after(self) -> None:
        if self._singly or self._count == self._kill_at:
            self._wait_for_the_writer()
        if self._count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _wait_for_the_writer(self) -> None:
        while self._journal.statistics().pending:
            time.sleep(0.001)  # noqa: TID251  # the loop must not go on

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


async def main(wanted: dict[str, Any]) -> dict[str, Any]:
    """Run, or go on."""
    first, second = wanted["urls"]
    catalog = catalog_of(
        {"second": at(second), "first": at(first)},
        routing={"fallback": {"first/m": ("second/m",)}},
        prices={"second/m": price(1)},
    )
    journal: Any = await SqliteJournal.open(wanted["db"], synchronous="normal")
    if wanted["kill_at"] or wanted["stall_at"]:
        journal = Killing(journal, wanted)
    async with running(catalog, agents=(chief, worker, leaf), environ={}, journal=journal) as it:
        try:
            if wanted["resume"]:
                outcome = await it.resume(wanted["run"], ResumeOptions())
            else:
                how = RunOptions(run_id=wanted["run"], durability=wanted["durability"])
                outcome = await it.run(chief, None, how)
        except RuntimeFault as error:
            return {"refused": str(error)}
        return outcome.as_json()


def forked(wanted: dict[str, Any]) -> str:
    """Do it in a child process, and return what it says."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        EFFECTS.append(wanted["effects"])
        said = json.dumps(anyio.run(main, wanted))
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return said or ("null" if was_killed else json.dumps({"crashed": status}))


def serve() -> None:
    """Answer each line."""
    for line in sys.stdin:
        sys.stdout.write(forked(json.loads(line)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
