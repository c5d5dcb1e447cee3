"""Runs of more and more steps: bytes and time for each step, and the time to go on after a kill.

``python -m benchmarks.long_runs FILE STEPS`` is the process that is killed: it asks a model of this
process so many times, says how long that took, and sends itself SIGKILL. What it has done is then
gone on with here, in the same file.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from runtime import Context, RunOptions, mag, running
from runtime.journal import SqliteJournal

TITLE = "runs of so many steps, each a model call"
STEPS = (100, 1_000, 10_000)
RUN = "long"
_OPENED: list[SqliteJournal] = []


@mag
async def long(ctx: Context, steps: int) -> int:
    """Ask, so many times, and die if this is the process that shall."""
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(steps):
        await ctx.ask(f"step {number} of {steps}: what is next?")
    if _OPENED:
        await _OPENED[0].flush()
        said = {"s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
        print(json.dumps(said), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return steps


async def die(file: str, steps: int) -> None:
    """Run until the kill."""
    _OPENED.append(await SqliteJournal.open(file))
    async with running(agents=(long,), journal=_OPENED[0], environ={}) as system:
        await system.run(long, steps, RunOptions(run_id=RUN))


async def go_on(file: Path) -> dict[str, float]:
    """Go on with what was killed, and measure that."""
    journal = await SqliteJournal.open(file)
    async with running(agents=(long,), journal=journal, environ={}) as system:
        began, cpu = time.perf_counter(), time.process_time()
        outcome = await system.resume(RUN)
        took = {"resume_s": time.perf_counter() - began, "resume_cpu_s": time.process_time() - cpu}
    await journal.close()
    if not outcome.ok or outcome.usage["calls"] != outcome.output:
        raise RuntimeError(f"it came to another end: {outcome}")
    return took


def once(steps: int) -> dict[str, float]:
    """Return the figures of one run, each for one step."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "journal.db"
        command = [sys.executable, "-m", "benchmarks.long_runs", str(file), str(steps)]
        said = subprocess.run(  # noqa: S603  # our own module
            command, check=False, stdout=subprocess.PIPE, text=True
        )
        if said.returncode != -signal.SIGKILL:
            raise RuntimeError(f"it ended by itself: {said.returncode}")
        run = json.loads(said.stdout)
        resumed = asyncio.run(go_on(file))
        size = file.stat().st_size
    return {
        "bytes": size / steps,
        **{name: value / steps * 1e6 for name, value in (run | resumed).items()},
    }


def run(rounds: int, scale: float) -> list[dict[str, Any]]:
    """Print the table and return it; see ``journal``."""
    print(f"\n{TITLE}, for each step: median of {rounds} rounds in turn")
    print(f"{'steps':>8} {'bytes':>9} {'time':>11} {'CPU':>11} {'resumed in':>12} {'CPU':>11}")
    sizes = [max(10, int(steps * scale)) for steps in STEPS]
    told = [[once(steps) for steps in sizes] for _ in range(rounds)]
    rows = []
    for steps, turns in zip(sizes, zip(*told, strict=True), strict=True):
        row = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        print(
            f"{steps:>8,} {row['bytes']:>9,.0f} {row['s']:>8,.0f} us {row['cpu_s']:>8,.0f} us"
            f" {row['resume_s']:>9,.1f} us {row['resume_cpu_s']:>8,.1f} us"
        )
        rows.append({"steps": steps, **row})
    return rows


if __name__ == "__main__":
    asyncio.run(die(sys.argv[1], int(sys.argv[2])))
