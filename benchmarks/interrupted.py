"""A thousand runs that are interrupted at random, again and again: ``resume --all`` finishes them.

One process starts them all, and is killed when so many steps are done; ``python -m runtime resume
--all`` goes on with them, and is killed as well, until the last one may come to its end. Each step
leaves a line in a file, so what was done twice is counted, beside what was in flight at a kill.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.journal import SqliteJournal
from runtime.recorded import Recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE = "{runs:,} runs of {steps} steps, interrupted {kills} times at random"
RUNS = 1_000
STEPS = 6
KILLS = 6
_LOOK_S = 0.01
_MOST_RUNS = 1_000_000
_ROOT = Path(__file__).resolve().parents[1]

AGENTS = f"""
import os, sys
from pathlib import Path
import anyio
from runtime import Context, RunOptions, mag, running, sag, skill
from runtime.journal import SqliteJournal

@skill(inline=True)
def mark(name: str) -> str:
    with open("marks.txt", "a") as file:
        file.write(name + "\\n")
    return name

@sag
async def part(ctx: Context, run: int) -> str:
    return await ctx.use(mark, f"{{run}}.{STEPS - 1}")

@mag
async def steps(ctx: Context, run: int) -> dict:
    done = []
    for step in range({STEPS - 1}):
        done.append(await ctx.use(mark, f"{{run}}.{{step}}"))
        await ctx.ask(f"run {{run}}, step {{step}}")
    done.append((await ctx.delegate(part, run)).unwrap())
    return {{"text": str(done)}}

async def main(runs: int) -> None:
    journal = await SqliteJournal.open("journal.db")
    async with running(Path("catalog"), journal=journal) as system:
        async def one(number: int) -> None:
            options = RunOptions(run_id=f"run-{{number}}", durability="strict")
            await system.run("steps", number, options)
        async with anyio.create_task_group() as tasks:
            for number in range(runs):
                tasks.start_soon(one, number)

if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]))
"""
AGENT = "name: {name}\nrole: {role}\ndescription: {name}.\nentrypoint: agents/steps.py:{name}\n"
FILES = {
    "agents/steps.py": AGENTS,
    "catalog/agents/steps.yaml": AGENT.format(name="steps", role="mag"),
    "catalog/agents/part.yaml": AGENT.format(name="part", role="sag"),
    "catalog/providers.yaml": "providers: {echo: {dialect: echo, models: {echo-1: {}}}}",
    "catalog/routing/default.yaml": (
        "{name: default, provider: echo, default: fast, tiers: {fast: {echo: echo-1}}}"
    ),
}


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What came of it.

    Attributes:
        runs: those that were begun.
        completed: those of them that came to the right end.
        kills: processes that were killed.
        lost: runs that a kill interrupted, all kills together.
        steps: steps that were to be done.
        repeated: those that were done more than once, counted as often.
        unexplained: those of them that were not in flight at a kill.
        seconds: what the last ``resume --all`` took.
    """

    runs: int
    completed: int
    kills: int
    lost: int
    steps: int
    repeated: int
    unexplained: int
    seconds: float


def interrupted(runs: int, kills: int, seed: int) -> Interrupted:
    """Begin runs, kill, go on, kill, and so on; then let them come to their end.

    Args:
        runs: how many are begun.
        kills: how many processes are killed.
        seed: of the random points.
    """
    rng = random.Random(seed)  # noqa: S311  # no secret
    points = sorted(rng.sample(range(runs, runs * (STEPS - 1)), kills))
    in_flight: Counter[str] = Counter()
    lost = 0
    with tempfile.TemporaryDirectory() as name:
        folder = _workspace(Path(name))
        command: Sequence[str] = (sys.executable, "agents/steps.py", str(runs))
        killed = 0
        for point in points:
            killed += _killed(command, folder, point)
            under_way = asyncio.run(_under_way(folder / "journal.db"))
            lost += len(under_way)
            in_flight.update(step for steps in under_way.values() for step in steps)
            command = (sys.executable, "-m", "runtime", "resume", "--all", "--json", "-q")
        began = time.perf_counter()
        _killed(command, folder, sys.maxsize)
        seconds = time.perf_counter() - began
        ended = asyncio.run(_ended(folder / "journal.db"))
        marks = Counter((folder / "marks.txt").read_text().split())
    repeated = marks - Counter(set(marks))
    return Interrupted(
        runs=len(ended),
        completed=sum(end == _right(run_id) for run_id, end in ended.items()),
        kills=killed,
        lost=lost,
        steps=len(ended) * STEPS,
        repeated=repeated.total(),
        unexplained=(repeated - in_flight).total(),
        seconds=seconds,
    )


def _workspace(folder: Path) -> Path:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def _killed(command: Sequence[str], folder: Path, point: int) -> bool:
    """Kill a process once so many steps are done; return whether it lived so long."""
    marks = folder / "marks.txt"
    environ = {
        **os.environ,
        "PYTHONPATH": str(_ROOT),
        "MAGSAG_DB": str(folder / "journal.db"),
        "HOME": str(folder),
    }
    with (folder / "said.txt").open("w+") as said:
        with subprocess.Popen(  # noqa: S603  # our own command
            command, cwd=folder, env=environ, stdout=said, stderr=subprocess.STDOUT
        ) as process:
            while process.poll() is None:
                if marks.exists() and marks.read_bytes().count(b"\n") >= point:
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(_LOOK_S)  # a process of its own takes its time
        if process.returncode not in (0, -signal.SIGKILL):
            said.seek(0)
            raise RuntimeError(f"{command} failed: {said.read()[-2_000:]}")
    return process.returncode != 0


async def _under_way(path: Path) -> dict[str, list[str]]:
    """Return the steps in flight of the runs that a kill has interrupted."""
    journal = await SqliteJournal.open(path)
    found: dict[str, list[str]] = {}
    for row in await journal.runs(limit=_MOST_RUNS, status="running"):
        recorded = Recorded()
        await recorded.read(journal, row.run_id)
        begun = set(recorded.in_flight())
        events = await journal.events(row.run_id)
        used = [event for event in events if event.kind == "skill_started" and event.op in begun]
        found[row.run_id] = [event.body["input"]["name"] for event in used]
    await journal.close()
    return found


def _right(run_id: str) -> tuple[str, Any]:
    number = run_id.removeprefix("run-")
    return "completed", {"text": str([f"{number}.{step}" for step in range(STEPS)])}


async def _ended(path: Path) -> dict[str, tuple[str, Any]]:
    journal = await SqliteJournal.open(path)
    rows = await journal.runs(limit=_MOST_RUNS)
    await journal.close()
    return {row.run_id: (row.status, row.output) for row in rows}


def run(rounds: int, scale: float) -> list[dict[str, Any]]:
    """Print the table and return it.

    Args:
        rounds: how often it is done, each with kills at other points; 1 or more.
        scale: the number of runs, as a share of 1,000.
    """
    runs = max(10, int(RUNS * scale))
    print(f"\n{TITLE.format(runs=runs, steps=STEPS, kills=KILLS)}")
    print(
        f"{'begun':>7} {'completed':>9} {'interrupted':>11} {'steps':>7} {'repeated':>8}"
        f" {'not in flight':>13} {'last resume':>11}"
    )
    rows = []
    for seed in range(rounds):
        row = interrupted(runs, KILLS, seed)
        print(
            f"{row.runs:>7,} {row.completed:>9,} {row.lost:>11,} {row.steps:>7,}"
            f" {row.repeated:>8,} {row.unexplained:>13,} {row.seconds:>9.1f} s"
        )
        rows.append(asdict(row))
    return rows
